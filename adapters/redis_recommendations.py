"""The recommendations of users in Redis, and whose are due to be made anew.

`reco:<user>` is a stored answer (`domain/personal_answers.py`) with a TTL, replaced by newer ones
alone. `reco_due` is a sorted set of user ids by the time when they are due; whoever takes a user
up puts them off by a lease: dying with it costs a pause, and nobody is done twice at once.
"""

from collections.abc import Collection, Sequence

from adapters.redis_connection import RedisConnection
from adapters.redis_errors import translated
from domain.answers import StoredAnswer
from domain.personal_answers import recommendation_key
from domain.ports import Clock, Due, Written

DUE = "reco_due"

_TAKE = """
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
for _, user in ipairs(due) do redis.call('ZADD', KEYS[1], ARGV[3], user) end
return due
"""

# Whoever was marked meanwhile is due earlier than the lease says, and stays so.
_SETTLE = """
if tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or -1) ~= tonumber(ARGV[2]) then return 0 end
if ARGV[3] == '' then return redis.call('ZREM', KEYS[1], ARGV[1]) end
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
return 1
"""


class RedisRecommendations:
    """Implements `domain.ports.Recommendations`."""

    def __init__(self, connection: RedisConnection, clock: Clock, *, due_seconds: int) -> None:
        self._connection = connection
        self._redis = connection.client
        self._clock = clock
        self._due_seconds = due_seconds

    def put(self, user_id: str, answer: StoredAnswer) -> Written:
        """Replace a user's recommendation, unless one at least as new is there."""
        seconds = max(1, round(answer.hard_expires_at - answer.generated_at))
        done = self._connection.call(
            "ma3_write", (recommendation_key(user_id),), answer.version, seconds, answer.pack()
        )
        return Written(done)

    def remove(self, user_id: str) -> None:
        """Forget a user's recommendation."""
        with translated():
            self._redis.delete(recommendation_key(user_id))

    def mark(self, user_ids: Collection[str], at: float) -> None:
        """Have these users' made anew at the time, or earlier where they are due earlier."""
        if not user_ids:
            return
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.zadd(DUE, dict.fromkeys(user_ids, at), lt=True)
        pipeline.expire(DUE, self._due_seconds)
        with translated():
            pipeline.execute()

    def take_due(self, limit: int, lease_seconds: float) -> Sequence[Due]:
        """Some who are due, the longest first; nobody else is given them during the lease."""
        now = self._clock()
        until = now + lease_seconds
        with translated():
            taken = self._redis.eval(_TAKE, 1, DUE, repr(now), limit, repr(until))
        return [Due(user.decode(), until) for user in taken]

    def settle(self, due: Due, next_at: float | None) -> None:
        """End a lease: due again at that time, or not; not for whoever was marked meanwhile."""
        with translated():
            self._redis.eval(
                _SETTLE, 1, DUE, due.user_id, repr(due.until),
                "" if next_at is None else repr(next_at),
            )  # fmt: skip

    def count_due(self) -> int:
        """How many are due by now."""
        with translated():
            return int(self._redis.zcount(DUE, "-inf", self._clock()))
