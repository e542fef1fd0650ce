"""Events and jobs as bytes: `[type, version, fields]` in msgpack, the fields in declared order.

An event is one frame. A job alone is only its fields; a pack is one frame around jobs of a kind.
Decoding is strict: a value of another type or beyond a limit raises Malformed, whose reason names
the field and quotes nothing. A change of fields needs a new `version` of the class. Of an event
every version is read whose fields are those of now, less what was `added` since.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Annotated, Any, Generic, TypeVar, get_type_hints

import msgspec
from msgspec import Meta

from domain.errors import Malformed
from domain.events import EVENT_TYPES, Event
from domain.jobs import JOB_TYPES, MAX_PACK_BYTES, Job
from domain.model import MAX_ANSWER_CHARS

MAX_EVENT_BYTES = 64 * 1024
MAX_PACK_JOBS = 10_000
MAX_ITEMS = 100
JOB_OVERHEAD_BYTES = 8
PACK_OVERHEAD_BYTES = 64
BODY_OVERHEAD_BYTES = 2048
"""At the most, what joining, base64 and the envelope add; the pack's headers are in it."""

_MAX_INT = 2**53
_Text = Annotated[str, Meta(max_length=256)]
_Id = Annotated[str, Meta(min_length=1, max_length=256)]
_Epoch = Annotated[float, Meta(ge=0, le=253_402_300_799)]
_Number = Annotated[float, Meta(ge=-1e12, le=1e12)]
_Whole = Annotated[int, Meta(ge=-_MAX_INT, le=_MAX_INT)]

_BY_NAME: Mapping[str, object] = {
    "event_id": _Id,
    "session_id": _Id,
    "item_id": _Id,
    "items": Annotated[tuple[tuple[_Id, _Number], ...], Meta(max_length=MAX_ITEMS)],
    "occurred_at": _Epoch,
    "asked_at": _Epoch,
    "stored": Annotated[bytes, Meta(max_length=48 * 1024)],
    "question": Annotated[str, Meta(max_length=4000)],
    "comment": Annotated[str, Meta(max_length=500)],
    "answer_preview": Annotated[str, Meta(max_length=1000)],
    "text": Annotated[str, Meta(max_length=MAX_ANSWER_CHARS)],
    "item_ids": Annotated[tuple[_Id, ...], Meta(max_length=MAX_ITEMS)],
    "seq": Annotated[int, Meta(ge=0, le=_MAX_INT)],
    "attributes": Annotated[
        dict[
            Annotated[str, Meta(max_length=64)],
            Annotated[str, Meta(max_length=512)] | int | float | bool | None,
        ],
        Meta(max_length=32),
    ],
}
_BY_TYPE: Mapping[object, object] = {
    str: _Text,
    str | None: _Text | None,
    float: _Number,
    float | None: _Number | None,
    int: _Whole,
    int | None: _Whole | None,
}

_encode = msgspec.msgpack.Encoder().encode
_encode_into = msgspec.msgpack.Encoder().encode_into
_FRAME = msgspec.msgpack.Decoder(tuple[str, int, msgspec.Raw])
_LISTED = msgspec.msgpack.Decoder(Annotated[list[msgspec.Raw], Meta(max_length=MAX_PACK_JOBS)])
_PLACE = re.compile(r"at `\$((?:\[[^\]]+\])+)")
_INDEX = re.compile(r"\[(\d+)\]")

Message = TypeVar("Message", Event, Job)


@dataclass(frozen=True, slots=True)
class _Codec(Generic[Message]):
    """How the messages of one class are written and read."""

    message: type[Message]
    names: tuple[str, ...]
    values: Callable[[Message], tuple[object, ...]]
    one: msgspec.msgpack.Decoder[tuple[Any, ...]]
    many: msgspec.msgpack.Decoder[list[tuple[Any, ...]]]

    @classmethod
    def of(cls, message: type[Message], without: Collection[str] = ()) -> "_Codec[Message]":
        hints = get_type_hints(message)
        names = tuple(field.name for field in fields(message) if field.name not in without)
        types = [_BY_NAME.get(name) or _BY_TYPE.get(hints[name], hints[name]) for name in names]
        row = tuple.__class_getitem__(tuple(types))
        rows = list.__class_getitem__(row)
        return cls(
            message,
            names,
            attrgetter(*names),
            msgspec.msgpack.Decoder(row),
            msgspec.msgpack.Decoder(Annotated[rows, Meta(max_length=MAX_PACK_JOBS)]),
        )

    def build(self, values: tuple[Any, ...]) -> Message:
        return self.message(**dict(zip(self.names, values, strict=True)))


_EVENTS = {
    (event.type, version): _Codec.of(
        event, without=[name for name, since in event.added.items() if since > version]
    )
    for event in EVENT_TYPES
    for version in range(1, event.version + 1)
}
_JOBS = {(job.kind, job.version): _Codec.of(job) for job in JOB_TYPES}
_VALUES_OF_EVENT = {event: _EVENTS[event.type, event.version].values for event in EVENT_TYPES}
_VALUES_OF_JOB = {codec.message: codec.values for codec in _JOBS.values()}


def encode_event(event: Event) -> bytes:
    """The event as it is written to the outbox."""
    return _encode((event.type, event.version, _VALUES_OF_EVENT[type(event)](event)))


def decode_event(data: bytes) -> Event:
    """The event in these bytes; raises Malformed."""
    if len(data) > MAX_EVENT_BYTES:
        raise Malformed(f"an event of {len(data)} bytes, more than {MAX_EVENT_BYTES}")
    codec, body = _open(data, _EVENTS, "event")
    return codec.build(_read(codec.one, body, codec, depth=0))


def encode_job(job: Job) -> bytes:
    """The job as `join_pack` takes it; kind and version are said once, by the pack."""
    return _encode(_VALUES_OF_JOB[type(job)](job))


def largest_job_bytes(pack_bytes: int = MAX_PACK_BYTES) -> int:
    """The largest encoded job that fits into a pack."""
    return pack_bytes - PACK_OVERHEAD_BYTES - JOB_OVERHEAD_BYTES


def join_pack(kind: str, version: int, jobs: Sequence[bytes]) -> bytes:
    """A pack of jobs of one kind and version that are already encoded."""
    pack = bytearray(b"\x93")
    _encode_into(kind, pack, -1)
    _encode_into(version, pack, -1)
    pack += b"\xdd" + len(jobs).to_bytes(4, "big")
    return bytes(pack) + b"".join(jobs)


def encode_pack(jobs: Sequence[Job]) -> bytes:
    """A pack of these jobs; raises ValueError where they are none or of several kinds."""
    kinds = {(job.kind, job.version) for job in jobs}
    if len(kinds) != 1:
        raise ValueError("a pack holds jobs of exactly one kind and version")
    return join_pack(*kinds.pop(), [encode_job(job) for job in jobs])


def decode_pack(data: bytes) -> list[Job]:
    """The jobs in a pack; raises Malformed, for one wrong job as for all."""
    codec, body = _open_pack(data)
    return [codec.build(values) for values in _read(codec.many, body, codec, depth=1)]


def split_pack(data: bytes) -> tuple[str, int, list[bytes]]:
    """Kind, version and the encoded jobs of a pack, unread; raises Malformed."""
    codec, body = _open_pack(data)
    return (
        codec.message.kind,
        codec.message.version,
        list(map(bytes, _read(_LISTED, body, codec, depth=1))),
    )


def _open_pack(data: bytes) -> "tuple[_Codec[Job], msgspec.Raw]":
    if len(data) > MAX_PACK_BYTES:
        raise Malformed(f"a pack of {len(data)} bytes, more than {MAX_PACK_BYTES}")
    return _open(data, _JOBS, "pack")


def _open(
    data: bytes, codecs: Mapping[tuple[str, int], _Codec[Message]], what: str
) -> tuple[_Codec[Message], msgspec.Raw]:
    try:
        name, version, body = _FRAME.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise Malformed(f"the frame around the {what} cannot be read") from None
    codec = codecs.get((name, version))
    if codec is None:
        raise Malformed(f"the {what} is of a type or version that is not known")
    return codec, body


Read = TypeVar("Read")


def _read(
    decoder: msgspec.msgpack.Decoder[Read], body: msgspec.Raw, codec: "_Codec[Any]", depth: int
) -> Read:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        # The library's own words may quote the value: only the place is taken from them.
        fault = _fault(str(error), codec.names, depth)
        raise Malformed(f"{codec.message.__name__}: {fault}") from None


def _fault(message: str, names: Sequence[str], depth: int) -> str:
    place = _PLACE.search(message)
    indexes = _INDEX.findall(place[1]) if place else []
    if len(indexes) <= depth:
        return "the fields cannot be read"
    return f"{names[int(indexes[depth])]} has the wrong type or size"
