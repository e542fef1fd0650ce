"""Questions and their answers in Redis, as commands for the shared connection.

A question is one function call: it checks who owns the session, reads the answer and appends the
event to the outbox, in one round trip. Needs the functions of `redis_functions.lua`.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from adapters.redis_kept import KeptRedis
from adapters.redis_multiplexed import NotDone, Reply, Unknown, WritesRefused, bytes_in, pack
from adapters.redis_serving_events import ServingEvents
from domain.answers import AnswerKey
from domain.errors import MangaAssistError, Refused, Transient
from domain.ports import PublishedSet

_FOREIGN, _FOUND, _FALLBACK, _NOTHING, _BEGUN = range(5)

WRITES_REST_SECONDS = 0.1
"""How long a server that refused a write is asked only to read: the refusal costs a round trip."""

_PLAIN = 2  # elements of a reply that has nothing to complain about


@dataclass(frozen=True, slots=True)
class Complaint:
    """An answer, or that there is none, and what went wrong beside it."""

    stored: bytes | None
    unwritten: NotDone | None
    """Why the event is not in the outbox."""
    spoilt: Sequence[str]
    """The keys that hold something else than an answer."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What was found for a question that may not be the first of its session.

    That is, the session was begun before, or it is not known whether it was.
    """

    stored: "Looked"


Looked = bytes | Complaint | MangaAssistError | None
"""What a look for an answer finds: stored bytes, None for nothing, or what went wrong."""
Answered = Looked | Begun


class First(StrEnum):
    """What is to be made of whether a question is the first of its session."""

    TELL = "tell"
    """What is found for any other is Begun."""
    REQUIRE = "require"
    """And for any other the answer is not looked at, only the fallback."""


Found = Callable[[Answered, bool], None]
"""Called with the stored bytes, None or what went wrong, and whether it is the fallback answer."""

MENDED = {1: "rebuilt", 2: "restored"}


class ServingRedis(ServingEvents):
    """The store of questions and of all events: `hot` carries questions, `bulk` what may be large.

    `owner_seconds` is how long the sessions table keeps a session after its last turn. Redis has to
    remember as long whose it is, or a stranger could claim what the table still keeps.
    """

    def __init__(self, hot: KeptRedis, bulk: KeptRedis, *, shards: int, owner_seconds: int) -> None:
        super().__init__(bulk, shards=shards)
        self._hot = hot
        self._owner_seconds = owner_seconds
        self._refusal: WritesRefused | None = None
        self._refused_until = 0.0

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
        first: First | None = None,
    ) -> None:
        """Read an answer and write the event.

        `found` gets Refused for another user's session, NotDone where the event was not written
        and Unknown where it may have been. A server that takes no writes is asked once more, for
        the answer alone, within the same time; and then for nothing else for a moment.
        """
        now = self._hot.time()
        ends_at = now + seconds
        # Without writing nobody knows whether a session begins.
        only_key = fallback_key if first is First.REQUIRE else answer_key
        what = (only_key, fallback_key, session_id, owner)
        found_unwritten = found if first is None else _as_begun(found)
        if self._refusal is not None:
            if now < self._refused_until:
                self._read_only(what, ends_at, self._refusal, found_unwritten)
                return
            self._refusal = None

        def read(reply: Reply) -> None:
            if type(reply) is list and len(reply) == _PLAIN and reply[0] == _FOUND:
                found(reply[1], False)
            elif type(reply) is list and reply[0] == _BEGUN:
                stored, is_fallback = _less_lucky(reply[1:])
                found(Begun(stored), is_fallback)
            elif isinstance(reply, WritesRefused):
                self._refusal = reply
                self._refused_until = self._hot.time() + WRITES_REST_SECONDS
                self._read_only(what, ends_at, reply, found_unwritten)
            else:
                found(*_less_lucky(reply))

        function, more = ("ma3_serve", ()) if first is None else ("ma3_serve_first", (first,))
        command = pack(
            "FCALL", function, 4, answer_key, fallback_key, f"session_owner:{session_id}",
            self._outbox(session_id), owner, self._owner_seconds, event, *more,
        )  # fmt: skip
        self._hot.call(command, read, seconds)

    def _read_only(
        self, what: tuple[str, str, str, str], ends_at: float, refusal: WritesRefused, found: Found
    ) -> None:
        answer_key, fallback_key, session_id, owner = what

        def read(reply: Reply) -> None:
            # Whatever comes of it, the event is certainly not written.
            found(*_less_lucky(refusal if isinstance(reply, Transient) else reply))

        command = pack(
            "FCALL_RO", "ma3_read", 3, answer_key, fallback_key, f"session_owner:{session_id}",
            owner, str(refusal),
        )  # fmt: skip
        self._hot.call(command, read, ends_at - self._hot.time())

    async def mend(
        self, key: AnswerKey, damaged: bytes, event: bytes, seconds: float
    ) -> str | None:
        """Delete a damaged answer unless it was replaced since; None where it was.

        It is put back from the published set ("restored"), or `event` goes to the outbox to have
        it made anew ("rebuilt"). Empty bytes stand for a key of a wrong type. Raises Transient.
        """
        name = key.redis_key()
        command = pack("FCALL", "ma3_mend", 2, name, self._outbox(name), key.kind, damaged, event)
        done = await self._bulk.ask(command, seconds)
        return MENDED.get(done) if isinstance(done, int) else None

    async def versions(self, kinds: Sequence[str], seconds: float) -> Sequence[bytes | None]:
        """The version of the published set of each kind; raises Transient."""
        asked = [
            self._bulk.ask(pack("HGET", f"answer_set:{kind}", "version"), seconds) for kind in kinds
        ]
        return [bytes_in(reply) for reply in await asyncio.gather(*asked)]

    async def published(
        self, kind: str, version: bytes, seconds: float
    ) -> Mapping[str, bytes] | None:
        """The stored answers of a published set by their keys, none of a kind that was withdrawn;
        None where this version is not there any more. Raises Transient."""
        archive = b"answer_archive:%b:%b" % (kind.encode(), version)
        match await self._bulk.ask(pack("HGETALL", archive), seconds):
            case [_, *_] as fields:
                pairs = zip(fields[::2], fields[1::2], strict=False)
                return {
                    name.decode(errors="replace"): stored
                    for name, stored in pairs
                    if isinstance(name, bytes) and isinstance(stored, bytes)
                }
        meta = bytes_in(await self._bulk.ask(pack("HGET", archive + b":meta", "meta"), seconds))
        return {} if meta is not None and _tells_of_none(meta) else None

    def drop(self, key: str, damaged: bytes, seconds: float) -> None:
        """Delete a value that was found damaged, unless it was replaced since.

        What stays is found again. Writers that come over the same connection later, and those who
        learn of this by an event, find it gone.
        """
        self._bulk.tell(pack("FCALL", "ma3_response_drop", 1, key, damaged), seconds)

    async def stored_answer(self, key: AnswerKey, seconds: float) -> bytes | None:
        """One stored answer, read over the connection that questions use; raises Transient."""
        return bytes_in(await self._hot.ask(pack("GET", key.redis_key()), seconds))


def _as_begun(found: Found) -> Found:
    def begun(stored: Answered, is_fallback: bool) -> None:
        found(stored if isinstance(stored, (Begun, Refused)) else Begun(stored), is_fallback)

    return begun


def _less_lucky(reply: Reply) -> tuple[Looked, bool]:
    match reply:
        case [int(found), bytes(stored)] if found in {_FOUND, _FALLBACK}:
            return stored, found == _FALLBACK
        case [int(found)] if found == _NOTHING:
            return None, True
        case [int(found), (bytes() | None) as stored, bytes(unwritten), *spoilt]:
            refusal = NotDone(unwritten.decode(errors="replace")) if unwritten else None
            keys = [key.decode(errors="replace") for key in spoilt if isinstance(key, bytes)]
            return Complaint(stored, refusal, keys), found != _FOUND
        case [int(found)] if found == _FOREIGN:
            return Refused("the session belongs to somebody else"), False
        case Transient():
            return reply, False
    return Unknown("an unexpected reply"), False


def _tells_of_none(meta: bytes) -> bool:
    try:
        return msgspec.json.decode(meta, type=PublishedSet).answers == 0
    except msgspec.DecodeError:
        return False
