"""Reads sessions for the request path: the copy in Redis, or else the table, each in its time."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from threading import Barrier, BrokenBarrierError
from typing import Protocol

from adapters.redis_multiplexed import Late
from adapters.redis_sessions import session_copy_key, session_history_key
from domain.errors import Malformed, Refused, Transient
from domain.events import ANONYMOUS
from domain.ports import Sessions
from domain.sessions import Session
from serving.bounded_threads import BoundedThreads
from serving.meters import Meters

READERS = 8
"""Threads that may wait for the sessions table at once."""
BARRIER_SECONDS = 1.0
"""How long threads that are free wait for those that are reading."""
NO_SESSION = "-warm-up-"
MAX_WAITING = 56
"""Reads that may wait for a thread: what waits longer is late anyway."""


class SessionReads(Protocol):
    """What Redis keeps of sessions; every read raises Transient."""

    async def session_copy(self, session_id: str, seconds: float) -> bytes | None:
        """The last turns of a session as they are stored."""
        ...

    async def session_owner(self, session_id: str, seconds: float) -> str | None:
        """Whose the session is; None for one that nobody has asked anything in."""
        ...

    async def session_history(self, session_id: str, seconds: float) -> bytes | None:
        """All turns of a session as they are stored."""
        ...

    def drop(self, key: str, damaged: bytes, seconds: float) -> None:
        """Delete a damaged value unless it was replaced since; nobody waits for it."""
        ...


class SessionReader:
    """Both places where a session may be."""

    def __init__(
        self,
        copies: SessionReads,
        decode: Callable[[bytes], Session],
        sessions: Sessions,
        meters: Meters,
    ) -> None:
        self._copies = copies
        self._decode = decode
        self._sessions = sessions
        self._meters = meters
        self._threads = BoundedThreads(READERS, "dynamodb", waiting=MAX_WAITING)

    async def copy(self, session_id: str, seconds: float) -> Session | None:
        """Its last turns, whoever owns it; None where there is no copy that can be read."""
        read = self._copies.session_copy(session_id, seconds)
        return await self._decoded(session_copy_key(session_id), read, seconds)

    async def owner(self, session_id: str, seconds: float) -> str | None:
        """Whose it is, None for a session that is new; raises Transient."""
        return await self._copies.session_owner(session_id, seconds)

    async def history(self, session_id: str, seconds: float) -> Session | None:
        """All its turns, whoever owns it; None where there is no copy that can be read."""
        read = self._copies.session_history(session_id, seconds)
        return await self._decoded(session_history_key(session_id), read, seconds)

    async def warm(self) -> None:
        """Open a connection for every thread; raises what the table does."""
        together = Barrier(READERS)
        reads = [self._threads.run(lambda: self._warm(together)) for _ in range(READERS)]
        await asyncio.gather(*reads)

    def _warm(self, together: Barrier) -> None:
        # All at once: one after the other would share a connection.
        with contextlib.suppress(BrokenBarrierError):
            together.wait(BARRIER_SECONDS)
        self._sessions.get(NO_SESSION, ANONYMOUS)

    async def _decoded(
        self, key: str, read: Awaitable[bytes | None], seconds: float
    ) -> Session | None:
        stored = None
        try:
            stored = await read
            return None if stored is None else self._decode(stored)
        except Transient as error:
            if isinstance(error, Late):
                self._meters.budget_exceeded("redis").inc()
        except Malformed:
            self._meters.damaged("session")
            # Left there it could pass for newer than the copy that is to replace it.
            self._copies.drop(key, stored or b"", seconds)
        return None

    async def stored(self, session_id: str, owner: str, seconds: float) -> Session | None:
        """The session in the table; None where the owner has none. Raises Transient."""
        try:
            async with asyncio.timeout(seconds):
                return await self._threads.run(lambda: self._sessions.get(session_id, owner))
        except Refused:
            return None
        except TimeoutError as error:
            self._meters.budget_exceeded("dynamodb").inc()
            raise Transient("the sessions table is late", dependency="dynamodb") from error
