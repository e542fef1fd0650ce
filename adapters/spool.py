"""The spool: a write-ahead log on local disk for events that Redis did not take, or may lose.

A directory of segments that several processes of a host write (`spool_writing.py`), each its own,
and one relay drains. A frame is `magic | length | crc32 | mark | arrival in ms | event`. Its writer
holds a lock on a segment while it lives, so that a reader tells an unfinished tail from a torn one.
"""

import fcntl
import os
import struct
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from hashlib import blake2b
from pathlib import Path

from domain.errors import Transient

MAGIC = b"MAe1"
MAX_EVENT_BYTES = 64 * 1024
SUFFIX, COPY, DAMAGED, MALFORMED = ".wal", ".copy", ".damaged", ".malformed"
DIGEST_BYTES = 8

_HEAD = struct.Struct("<4sII")
_ARRIVAL = struct.Struct("<BQ")


class SpoolFull(Transient):
    """The disk, or the spool's share of it, takes no more; nothing of the call was written."""


class Mark(IntEnum):
    """What is to become of an event of the spool."""

    SEND = 1
    """Redis has it not, or perhaps not: send it."""
    AWAIT = 2
    """A copy, Redis has it: send it only if it turns out to be lost."""


@dataclass(frozen=True, slots=True)
class Record:
    """One event to write."""

    mark: Mark
    event: bytes


def framed(mark: Mark, events: Sequence[bytes], arrived_ms: int) -> bytes:
    """Events as they lie in a segment."""
    arrival = _ARRIVAL.pack(mark, arrived_ms)
    begun = zlib.crc32(arrival)
    parts: list[bytes] = []
    for event in events:
        head = _HEAD.pack(MAGIC, _ARRIVAL.size + len(event), zlib.crc32(event, begun))
        parts += (head, arrival, event)
    return b"".join(parts)


def digest(event: bytes) -> bytes:
    """What an event is confirmed by: short, and two of a few million hardly ever have the same."""
    return blake2b(event, digest_size=DIGEST_BYTES).digest()


_MARKS = {mark.value: mark for mark in Mark}


@dataclass(frozen=True, slots=True)
class Spooled:
    """One event read back; `arrived_at` is in epoch seconds by its writer's clock."""

    mark: Mark
    arrived_at: float
    event: bytes


@dataclass(slots=True)
class Segment:
    """One file of the spool while it is drained."""

    path: Path
    offset: int = 0
    damaged_bytes: int = 0

    def read(self) -> tuple[list[Spooled], bool]:
        """The events since the last call, and whether no more can come.

        Steps over damage, which it counts, to the next whole frame. An unfinished tail of a writer
        that lives is left for the next call.
        """
        alive = is_locked(self.path)  # before reading: what it wrote until its end is then read
        with self.path.open("rb") as file:
            file.seek(self.offset)
            data = file.read()
        events, used, damaged = scan(data, is_whole=not alive)
        self.offset += used
        self.damaged_bytes += damaged
        return events, not alive

    def remove(self) -> None:
        """Delete the segment, or put it aside for a person where a part could not be read."""
        with suppress(FileNotFoundError):
            if self.damaged_bytes:
                self.path.rename(self.path.with_suffix(DAMAGED))
            else:
                self.path.unlink()


def scan(data: bytes, *, is_whole: bool) -> tuple[list[Spooled], int, int]:
    """The events in these bytes, how many bytes were used, and how many of them are damaged."""
    events: list[Spooled] = []
    at = damaged = 0
    while at < len(data):
        found = _frame_at(data, at)
        if found is not None:
            event, at = found
            events.append(event)
            continue
        after = _next_frame(data, at + 1)
        if after is None:
            if is_whole:
                damaged += len(data) - at
                at = len(data)
            break
        damaged += after - at
        at = after
    return events, at, damaged


def _frame_at(data: bytes, at: int) -> tuple[Spooled, int] | None:
    begin = at + _HEAD.size
    if begin > len(data):
        return None
    magic, length, crc = _HEAD.unpack_from(data, at)
    end = begin + length
    if magic != MAGIC or not _ARRIVAL.size <= length <= _ARRIVAL.size + MAX_EVENT_BYTES:
        return None
    if end > len(data) or zlib.crc32(data[begin:end]) != crc:
        return None
    mark, arrived_ms = _ARRIVAL.unpack_from(data, begin)
    if mark not in _MARKS:
        return None
    return Spooled(_MARKS[mark], arrived_ms / 1000, data[begin + _ARRIVAL.size : end]), end


def _next_frame(data: bytes, at: int) -> int | None:
    while (at := data.find(MAGIC, at)) >= 0:
        if _frame_at(data, at) is not None:
            return at
        at += 1
    return None


def segments(directory: Path) -> Iterator[Path]:
    """The segments of events that Redis did not take, the oldest first."""
    yield from _of_kind(directory, SUFFIX)


def copies(directory: Path) -> Iterator[Path]:
    """The segments of copies, the oldest first."""
    yield from _of_kind(directory, COPY)


def size_bytes(directory: Path, suffix: str = SUFFIX) -> int:
    """What the segments of a kind weigh."""
    return sum(_size(path) for path in _of_kind(directory, suffix))


def aside_bytes(directory: Path) -> int:
    """What is kept for a person weighs."""
    return size_bytes(directory, DAMAGED) + size_bytes(directory, MALFORMED)


def put_aside(path: Path, event: bytes) -> None:
    """Keep an event that can't be understood beside its segment, for a person."""
    with path.with_suffix(MALFORMED).open("ab") as file:
        file.write(framed(Mark.SEND, [event], int(time.time() * 1000)))
        file.flush()
        os.fdatasync(file.fileno())


class DrainLock:
    """Lets one relay at a time drain a directory, or what `name` says of it."""

    def __init__(self, directory: Path, name: str = "drain") -> None:
        self._path = directory / f".{name}"
        self._file: int | None = None

    def take(self) -> bool:
        """Whether the directory is ours now; raises OSError where it can't be made."""
        if self._file is not None:
            return True
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            return False
        self._file = file
        return True

    def give_up(self) -> None:
        """Let another relay drain it."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


def _of_kind(directory: Path, suffix: str) -> list[Path]:
    try:
        return sorted(path for path in directory.iterdir() if path.suffix == suffix)
    except FileNotFoundError:
        return []


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def is_locked(path: Path) -> bool:
    """Whether the writer of a segment may go on writing it."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
