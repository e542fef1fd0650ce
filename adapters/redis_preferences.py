"""What customers prefer, in Redis: `prefs:<user>`, a sorted set of names by when they were wanted.

Bounded in number and time. Losing a key costs knowing what the customer asked for before.
"""

from collections.abc import Sequence

from adapters.redis_connection import RedisConnection
from adapters.redis_errors import translated
from adapters.redis_sorted_sets import CLEARED, tell_cleared
from domain.jobs import NotePreference
from domain.ports import Clock
from domain.preferences import MAX_PREFERENCES, name_of_genre, name_of_locale

AHEAD_SECONDS = 300.0
"""How far a producer's clock may be ahead: one far ahead would keep what it names for good."""

_NOTE = f"""
{CLEARED}
for at = 3, #ARGV, 2 do redis.call('ZADD', KEYS[1], 'GT', ARGV[at], ARGV[at + 1]) end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - tonumber(ARGV[1]))
redis.call('EXPIRE', KEYS[1], ARGV[2])
return cleared
"""


class RedisPreferences:
    """Implements `domain.ports.PreferenceNotes`."""

    def __init__(self, connection: RedisConnection, kept_seconds: int, clock: Clock) -> None:
        self._redis = connection.client
        self._kept_seconds = kept_seconds
        self._clock = clock

    def note(self, preferences: Sequence[NotePreference]) -> None:
        """Remember what these customers asked for."""
        latest = self._clock() + AHEAD_SECONDS
        by_user: dict[str, list[str]] = {}
        for job in preferences:
            at = repr(min(job.occurred_at, latest))
            rows = by_user.setdefault(job.user_id, [])
            rows += (at, name_of_locale(job.locale))
            if job.genre:
                rows += (at, name_of_genre(job.genre))
        pipeline = self._redis.pipeline(transaction=False)
        for user_id, rows in by_user.items():
            key, kept = preferences_key(user_id), self._kept_seconds
            pipeline.eval(_NOTE, 1, key, MAX_PREFERENCES, kept, *rows)
        with translated():
            outcomes = pipeline.execute()
        tell_cleared(outcomes, "keys of preferences")


def preferences_key(user_id: str) -> str:
    """Where what a user prefers is."""
    return f"prefs:{user_id}"
