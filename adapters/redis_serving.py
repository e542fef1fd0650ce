"""What the request path asks of Redis, as commands for the shared connection.

A question is one function call: it checks who owns the session, reads the answer and appends the
event to the outbox, in one round trip. Needs the functions of `redis_functions.lua`.
"""

import zlib
from collections.abc import Callable, Sequence

from adapters.redis_kept import KeptRedis
from adapters.redis_multiplexed import Reply, Unknown, pack
from domain.answers import AnswerKey
from domain.errors import MangaAssistError, Refused, Transient

_FOREIGN, _FOUND, _FALLBACK, _NOTHING = range(4)

Found = Callable[[bytes | MangaAssistError | None, bool], None]
"""Called with the stored bytes, None or what went wrong, and whether it is the fallback answer."""


class ServingRedis:
    """The request path's store: `hot` carries questions, `bulk` what may be large.

    `owner_seconds` is how long the sessions table keeps a session after its last turn. Redis has to
    remember as long whose it is, or a stranger could claim what the table still keeps.
    """

    def __init__(self, hot: KeptRedis, bulk: KeptRedis, *, shards: int, owner_seconds: int) -> None:
        self._hot = hot
        self._bulk = bulk
        self._owner_seconds = owner_seconds
        self._outboxes = [f"outbox:{shard}" for shard in range(shards)]

    @property
    def up(self) -> bool:
        """Whether both connections answer."""
        return self._hot.up and self._bulk.up

    def serve(
        self,
        *,
        answer_key: str,
        fallback_key: str,
        session_id: str,
        owner: str,
        event: bytes,
        seconds: float,
        found: Found,
    ) -> None:
        """Read an answer and write the event.

        `found` gets Refused for another user's session, NotDone where the event was not written
        and Unknown where it may have been.
        """

        def read(reply: Reply) -> None:
            if type(reply) is list and reply[0] == _FOUND:
                found(reply[1], False)
            else:
                found(*_less_lucky(reply))

        command = pack(
            "FCALL", "ma1_serve", 4, answer_key, fallback_key, f"session_owner:{session_id}",
            self._outbox(session_id), owner, self._owner_seconds, event,
        )  # fmt: skip
        self._hot.call(command, read, seconds)

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

    async def session_copy(self, session_id: str, seconds: float) -> bytes | None:
        """The copy of a session as it is stored; raises Transient."""
        return _string(await self._bulk.ask(pack("GET", f"session:{session_id}"), seconds))

    async def stored_answer(self, key: AnswerKey, seconds: float) -> bytes | None:
        """One stored answer, read over the connection that questions use; raises Transient."""
        return _string(await self._hot.ask(pack("GET", key.redis_key()), seconds))

    def _outbox(self, spread_by: str) -> str:
        outboxes = self._outboxes
        if len(outboxes) == 1:
            return outboxes[0]
        return outboxes[zlib.crc32(spread_by.encode()) % len(outboxes)]


def _less_lucky(reply: Reply) -> tuple[bytes | MangaAssistError | None, bool]:
    match reply:
        case [int(found), bytes(stored)] if found in {_FOUND, _FALLBACK}:
            return stored, found == _FALLBACK
        case [int(found)] if found == _NOTHING:
            return None, True
        case [int(found)] if found == _FOREIGN:
            return Refused("the session belongs to somebody else"), False
        case Transient():
            return reply, False
    return Unknown("an unexpected reply"), False


def _string(reply: Reply) -> bytes | None:
    return reply if isinstance(reply, bytes) else None
