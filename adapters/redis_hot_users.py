"""What Redis holds of users who were seen lately; every key has a TTL, and losing one costs a read.

`features:<user>` is JSON that names its owner, written only over what is older, so that copies may
come in any order; without groups it says that nobody knows anything of the user.
`interactions:<user>` is a sorted set of title ids by the time of the last interaction, which makes
a repeated or late one harmless. `seen:<user>` only exists.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any

import msgspec

from adapters.redis_connection import RedisConnection
from adapters.redis_errors import translated
from adapters.redis_sorted_sets import CLEARED, tell_cleared
from domain.errors import Malformed
from domain.features import GroupRecord, UserFeatures
from domain.jobs import CountInteraction
from domain.ports import Clock

# What a user knows of a group only ever moves on, so that the sum of the event times grows.
_REPLACE_FEATURES = """
local stored = redis.pcall('GET', KEYS[1])
if type(stored) == 'string' then
  local newness = tonumber(string.match(stored, '^{"newness":([%d.eE+-]+)'))
  if newness and newness > tonumber(ARGV[2]) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
return 1
"""

_NOTE = f"""
{CLEARED}
for i = 4, #ARGV, 2 do redis.call('ZADD', KEYS[1], 'GT', ARGV[i], ARGV[i + 1]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[2])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - tonumber(ARGV[1]))
redis.call('EXPIRE', KEYS[1], ARGV[3])
return cleared
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How long each thing is kept, and how many titles of a user."""

    features_seconds: int
    features_jitter_seconds: int
    seen_seconds: int
    recent_titles: int
    recent_seconds: int


class _Features(msgspec.Struct, frozen=True, kw_only=True):
    newness: float
    user_id: str
    groups: Mapping[str, GroupRecord]


_encode = msgspec.json.Encoder().encode
_decode_features = msgspec.json.Decoder(_Features).decode


class RedisHotUsers:
    """Implements `domain.ports.HotUsers`."""

    def __init__(
        self,
        connection: RedisConnection,
        kept: Kept,
        clock: Clock,
        jitter: Callable[[int, int], int] = random.randint,
    ) -> None:
        self._redis = connection.client
        self._kept = kept
        self._clock = clock
        self._jitter = jitter

    def put_features(self, users: Sequence[UserFeatures]) -> None:
        """Replace the copies of these users' features, but none by an older one."""
        pipeline = self._redis.pipeline(transaction=False)
        for user in users:
            pipeline.eval(
                _REPLACE_FEATURES, 1, features_key(user.user_id), encode_features(user),
                repr(_newness(user)), self._features_seconds(),
            )  # fmt: skip
        with translated():
            pipeline.execute()

    def note(self, interactions: Sequence[CountInteraction]) -> None:
        """Remember what these users did, and that they were here."""
        by_user: dict[str, list[CountInteraction]] = {}
        for job in interactions:
            if job.user_id:
                by_user.setdefault(job.user_id, []).append(job)
        oldest = self._clock() - self._kept.recent_seconds
        pipeline = self._redis.pipeline(transaction=False)
        for user_id, jobs in by_user.items():
            titles = [part for job in jobs for part in (repr(job.occurred_at), job.item_id)]
            pipeline.eval(
                _NOTE, 1, interactions_key(user_id), self._kept.recent_titles, repr(oldest),
                self._kept.recent_seconds, *titles,
            )  # fmt: skip
        for user_id in by_user:
            self._mark_seen(pipeline, user_id)
        with translated():
            outcomes = pipeline.execute()
        tell_cleared(outcomes[: len(by_user)], "keys of recent titles")

    def note_seen(self, user_ids: Iterable[str]) -> None:
        """Remember that these users were here."""
        pipeline = self._redis.pipeline(transaction=False)
        for user_id in filter(None, user_ids):
            self._mark_seen(pipeline, user_id)
        with translated():
            pipeline.execute()

    def seen(self, user_ids: Sequence[str]) -> Sequence[str]:
        """Those of these users who were seen lately."""
        if not user_ids:
            return []
        with translated():
            marks = self._redis.mget([seen_key(user_id) for user_id in user_ids])
        return [user_id for user_id, mark in zip(user_ids, marks, strict=True) if mark is not None]

    def recent(self, user_id: str) -> Sequence[str]:
        """The ids of the titles that the user did something with lately, newest first."""
        with translated():
            found = self._redis.zrevrange(interactions_key(user_id), 0, -1)
        return [item.decode() for item in found]

    def _mark_seen(self, pipeline: Any, user_id: str) -> None:
        pipeline.set(seen_key(user_id), b"1", ex=self._kept.seen_seconds)

    def _features_seconds(self) -> int:
        # Copies that were made together must not all have to be made again together.
        spread = self._kept.features_jitter_seconds
        return self._kept.features_seconds + self._jitter(-spread, spread)


def interactions_key(user_id: str) -> str:
    """Where the titles are that a user did something with lately."""
    return f"interactions:{user_id}"


def features_key(user_id: str) -> str:
    """Where a user's features are."""
    return f"features:{user_id}"


def seen_key(user_id: str) -> str:
    """What exists while a user was seen lately."""
    return f"seen:{user_id}"


def encode_features(user: UserFeatures) -> bytes:
    """The features as they are stored."""
    return _encode(_Features(newness=_newness(user), user_id=user.user_id, groups=user.groups))


def decode_features(stored: bytes, user_id: str) -> UserFeatures:
    """The features in a stored copy; raises Malformed where it can't be read or is another's."""
    try:
        copy = _decode_features(stored)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Malformed("the copy of a user's features cannot be read") from error
    if copy.user_id != user_id:
        raise Malformed("the copy of a user's features is another user's")
    found = UserFeatures(copy.user_id, copy.groups)
    if copy.newness != _newness(found):  # it would be replaced too late, or never
        raise Malformed("the copy of a user's features says another age than it has")
    return found


def _newness(user: UserFeatures) -> float:
    return fsum(record.event_time for record in user.groups.values())
