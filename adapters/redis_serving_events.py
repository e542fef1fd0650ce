"""Events of the request path that no answer is read with, as commands for the shared connection."""

import zlib
from collections.abc import Callable, Sequence
from enum import Enum

from adapters.redis_kept import KeptRedis
from adapters.redis_multiplexed import Reply, Unknown, pack
from domain.errors import Transient


class Noted(Enum):
    """What became of an event of a session."""

    FOREIGN = 0
    WRITTEN = 1
    UNKNOWN = 2
    """Nobody has asked anything in a session of this id."""


_NOTE = """
local owner = redis.pcall('GET', KEYS[1])
if type(owner) ~= 'string' then return 2 end
if owner ~= ARGV[1] then return 0 end
local written = redis.pcall('XADD', KEYS[2], '*', 'e', ARGV[2])
if type(written) == 'table' and written.err then return redis.error_reply(written.err) end
return 1
"""


class Outboxes:
    """The streams that events are spread over."""

    def __init__(self, shards: int) -> None:
        self._names = [f"outbox:{shard}" for shard in range(shards)]

    def of(self, spread_by: str) -> str:
        """The stream of the events that are spread by this."""
        names = self._names
        if len(names) == 1:
            return names[0]
        return names[zlib.crc32(spread_by.encode()) % len(names)]


class ServingEvents:
    """Writes events to their outboxes; `bulk` is the connection for what may be large."""

    def __init__(self, bulk: KeptRedis, *, shards: int) -> None:
        self._bulk = bulk
        self._outbox = Outboxes(shards).of

    def append(
        self,
        events: Sequence[tuple[str, bytes]],
        seconds: float,
        written: Callable[[Sequence[Transient | None]], None],
    ) -> None:
        """Write events, each with what it is spread by, in one write of the connection.

        `written` gets for each event None, a NotDone or an Unknown.
        """
        outcomes: list[Transient | None] = [None] * len(events)
        missing = len(events)

        def settle(place: int, reply: Reply) -> None:
            nonlocal missing
            outcomes[place] = reply if isinstance(reply, Transient) else None
            missing -= 1
            if not missing:
                written(outcomes)

        for place, (spread_by, event) in enumerate(events):
            command = pack("XADD", self._outbox(spread_by), "*", "e", event)
            self._bulk.call(command, lambda reply, place=place: settle(place, reply), seconds)  # type: ignore[misc]

    def note(
        self,
        session_id: str,
        owner: str,
        event: bytes,
        seconds: float,
        noted: Callable[[Noted | Transient], None],
    ) -> None:
        """Write an event if the session is the owner's, in one step.

        `noted` gets NotDone where it was not written and Unknown where it may have been.
        """

        def read(reply: Reply) -> None:
            if isinstance(reply, int):
                noted(Noted(reply))
            else:
                noted(reply if isinstance(reply, Transient) else Unknown("an unexpected reply"))

        command = pack(
            "EVAL", _NOTE, 2, f"session_owner:{session_id}", self._outbox(session_id), owner, event
        )
        self._bulk.call(command, read, seconds)
