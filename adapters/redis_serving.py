"""What the request path asks of Redis, as commands for the shared connection.

A question is one function call: it checks who owns the session, reads the answer and appends the
event to the outbox, in one round trip. Needs the functions of `redis_functions.lua`.
"""

import asyncio
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum

from adapters.redis_hot_users import encode_features, features_key, interactions_key, seen_key
from adapters.redis_kept import KeptRedis
from adapters.redis_multiplexed import NotDone, Reply, Unknown, WritesRefused, pack
from adapters.redis_preferences import preferences_key
from adapters.redis_sessions import session_copy_key, session_history_key
from domain.answers import AnswerKey
from domain.errors import MangaAssistError, Refused, Transient
from domain.features import UserFeatures
from domain.preferences import MAX_PREFERENCES, Preferences, preferences

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

Found = Callable[[Answered, bool], None]
"""Called with the stored bytes, None or what went wrong, and whether it is the fallback answer."""

MENDED = {1: "rebuilt", 2: "restored"}


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


class ServingRedis:
    """The request path's store: `hot` carries questions, `bulk` what may be large.

    `owner_seconds` is how long the sessions table keeps a session after its last turn. Redis has to
    remember as long whose it is, or a stranger could claim what the table still keeps.
    """

    def __init__(self, hot: KeptRedis, bulk: KeptRedis, *, shards: int, owner_seconds: int) -> None:
        self._hot = hot
        self._bulk = bulk
        self._owner_seconds = owner_seconds
        self._outbox = Outboxes(shards).of
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

        function, more = ("ma2_serve", ()) if first is None else ("ma2_serve_first", (first,))
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
            "FCALL_RO", "ma2_read", 3, answer_key, fallback_key, f"session_owner:{session_id}",
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
        command = pack("FCALL", "ma2_mend", 2, name, self._outbox(name), key.kind, damaged, event)
        done = await self._bulk.ask(command, seconds)
        return MENDED.get(done) if isinstance(done, int) else None

    async def versions(self, kinds: Sequence[str], seconds: float) -> Sequence[bytes | None]:
        """The version of the published set of each kind; raises Transient."""
        asked = [
            self._bulk.ask(pack("HGET", f"answer_set:{kind}", "version"), seconds) for kind in kinds
        ]
        return [_string(reply) for reply in await asyncio.gather(*asked)]

    async def published(self, kind: str, version: bytes, seconds: float) -> Mapping[str, bytes]:
        """The stored answers of a published set by their keys; raises Transient."""
        archive = b"answer_archive:%b:%b" % (kind.encode(), version)
        match await self._bulk.ask(pack("HGETALL", archive), seconds):
            case [*fields]:
                pairs = zip(fields[::2], fields[1::2], strict=False)
                return {
                    name.decode(errors="replace"): stored
                    for name, stored in pairs
                    if isinstance(name, bytes) and isinstance(stored, bytes)
                }
        return {}

    def drop(self, key: str, damaged: bytes, seconds: float) -> None:
        """Delete a value that was found damaged, unless it was replaced since.

        Nobody waits for it: what stays is found again. Writers that come over the same connection
        later, and those who learn of this by an event, find it gone.
        """
        self._bulk.call(pack("FCALL", "ma2_response_drop", 1, key, damaged), _settled, seconds)

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

    async def session_copy(self, session_id: str, seconds: float) -> bytes | None:
        """The last turns of a session as they are stored; raises Transient."""
        return _string(await self._bulk.ask(pack("GET", session_copy_key(session_id)), seconds))

    async def hot_user(self, user_id: str, seconds: float) -> tuple[bytes | None, Sequence[str]]:
        """What is held of a user, in one round trip; raises Transient.

        The copy of the features as it is stored, and the titles of late, newest first.
        """
        features, recent = await asyncio.gather(
            self._bulk.ask(pack("GET", features_key(user_id)), seconds),
            self.recent_titles(user_id, None, seconds),
        )
        return _string(features), recent

    def note_unknown(self, user_id: str, kept_seconds: int, seconds: float) -> None:
        """Put features without any group where there are none; nobody waits for it.

        Whoever syncs the user meanwhile is to replace them, and so finds that the user was seen.
        """
        nothing = encode_features(UserFeatures(user_id, {}))
        for key, value in ((seen_key(user_id), b"1"), (features_key(user_id), nothing)):
            command = pack("SET", key, value, "EX", kept_seconds, "NX")
            self._bulk.call(command, _settled, seconds)

    async def session_owner(self, session_id: str, seconds: float) -> str | None:
        """Whose the session is, None for one that is not known; raises Transient."""
        owner = _string(await self._bulk.ask(pack("GET", f"session_owner:{session_id}"), seconds))
        return None if owner is None else owner.decode(errors="replace")

    async def session_history(self, session_id: str, seconds: float) -> bytes | None:
        """All turns of a session as they are stored; raises Transient."""
        return _string(await self._bulk.ask(pack("GET", session_history_key(session_id)), seconds))

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

    async def stored_answer(self, key: AnswerKey, seconds: float) -> bytes | None:
        """One stored answer, read over the connection that questions use; raises Transient."""
        return _string(await self._hot.ask(pack("GET", key.redis_key()), seconds))


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


def _settled(_reply: Reply) -> None:
    """Whatever became of it, nobody waits."""


def _string(reply: Reply) -> bytes | None:
    return reply if isinstance(reply, bytes) else None
