"""What the request path reads of whoever asks, as commands for the shared connection.

Their sessions, the copies of their features, what they prefer and did of late. Every read raises
Transient.
"""

import asyncio
from collections.abc import Sequence

from adapters.redis_hot_users import encode_features, features_key, interactions_key, seen_key
from adapters.redis_kept import KeptRedis
from adapters.redis_multiplexed import bytes_in, pack
from adapters.redis_preferences import preferences_key
from adapters.redis_sessions import session_copy_key, session_history_key
from domain.features import UserFeatures
from domain.preferences import MAX_PREFERENCES, Preferences, preferences


class ServingVisitors:
    """Sessions and users; `bulk` is the connection for what may be large."""

    def __init__(self, bulk: KeptRedis) -> None:
        self._bulk = bulk

    async def session_copy(self, session_id: str, seconds: float) -> bytes | None:
        """The last turns of a session as they are stored; raises Transient."""
        return bytes_in(await self._bulk.ask(pack("GET", session_copy_key(session_id)), seconds))

    async def session_owner(self, session_id: str, seconds: float) -> str | None:
        """Whose the session is, None for one that is not known; raises Transient."""
        owner = bytes_in(await self._bulk.ask(pack("GET", f"session_owner:{session_id}"), seconds))
        return None if owner is None else owner.decode(errors="replace")

    async def session_history(self, session_id: str, seconds: float) -> bytes | None:
        """All turns of a session as they are stored; raises Transient."""
        return bytes_in(await self._bulk.ask(pack("GET", session_history_key(session_id)), seconds))

    async def hot_user(self, user_id: str, seconds: float) -> tuple[bytes | None, Sequence[str]]:
        """What is held of a user, in one round trip; raises Transient.

        The copy of the features as it is stored, and the titles of late, newest first.
        """
        features, recent = await asyncio.gather(
            self._bulk.ask(pack("GET", features_key(user_id)), seconds),
            self.recent_titles(user_id, None, seconds),
        )
        return bytes_in(features), recent

    def note_unknown(self, user_id: str, kept_seconds: int, seconds: float) -> None:
        """Put features without any group where there are none; nobody waits for it.

        Whoever syncs the user meanwhile is to replace them, and so finds that the user was seen.
        """
        nothing = encode_features(UserFeatures(user_id, {}))
        for key, value in ((seen_key(user_id), b"1"), (features_key(user_id), nothing)):
            command = pack("SET", key, value, "EX", kept_seconds, "NX")
            self._bulk.tell(command, seconds)

    async def preferences(self, user: str, seconds: float) -> Preferences:
        """What the user turns out to prefer; raises Transient."""
        return preferences(await self._ranked(preferences_key(user), MAX_PREFERENCES, seconds))

    async def recent_titles(self, user: str, count: int | None, seconds: float) -> Sequence[str]:
        """The titles that the user did something with lately, newest first; raises Transient.

        No more than so many, or all that are kept.
        """
        return await self._ranked(interactions_key(user), count, seconds)

    async def _ranked(self, key: str, count: int | None, seconds: float) -> Sequence[str]:
        """The highest of a sorted set, or all."""
        last = -1 if count is None else count - 1
        match await self._bulk.ask(pack("ZREVRANGE", key, 0, last), seconds):
            case [*names]:
                return [one.decode(errors="replace") for one in names if isinstance(one, bytes)]
        return []

    def drop(self, key: str, damaged: bytes, seconds: float) -> None:
        """Delete a value that was found damaged, unless it was replaced since.

        What stays is found again. Writers that come over the same connection later, and those who
        learn of this by an event, find it gone.
        """
        self._bulk.tell(pack("FCALL", "ma3_response_drop", 1, key, damaged), seconds)
