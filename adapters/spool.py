"""The spool: a write-ahead log on local disk for events that Redis did not take.

A directory of segments that several processes of a host write, each its own, and one relay drains.
A frame is `magic | length | crc32 | mark | arrival in ms | event`. Its writer holds a lock on a
segment while it lives, so that a reader tells an unfinished tail from a torn one. What `write` has
returned from survives the death of every process; after the next `tick`, that of the machine.
"""

import contextlib
import fcntl
import os
import secrets
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from domain.errors import Transient

MAGIC = b"MAe1"
SEGMENT_BYTES = 4 * 1024 * 1024
SEGMENT_SECONDS = 2.0
MAX_EVENT_BYTES = 64 * 1024
SUFFIX, DAMAGED, MALFORMED = ".wal", ".damaged", ".malformed"

_HEAD = struct.Struct("<4sII")
_ARRIVAL = struct.Struct("<BQ")
REST_SECONDS = 0.2
_SIZE_SECONDS = 1.0


class SpoolFull(Transient):
    """The disk, or the spool's share of it, takes no more; nothing of the call was written."""


class Mark(IntEnum):
    """What is to become of an event of the spool."""

    SEND = 1
    """Redis has it not, or perhaps not: send it."""
    AWAIT = 2
    """Redis should have it: send it only if it turns out to be lost."""


@dataclass(frozen=True, slots=True)
class Record:
    """One event to write."""

    mark: Mark
    event: bytes


def frame(record: Record, arrived_ms: int) -> bytes:
    """One event as it lies in a segment."""
    content = _ARRIVAL.pack(record.mark, arrived_ms) + record.event
    return _HEAD.pack(MAGIC, len(content), zlib.crc32(content)) + content


_MARKS = {mark.value: mark for mark in Mark}


class SpoolWriter:
    """One process's way into the spool; `write` and `tick` may come from different threads."""

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int,
        segment_bytes: int = SEGMENT_BYTES,
        segment_seconds: float = SEGMENT_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._segment_bytes = segment_bytes
        self._segment_seconds = segment_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._file: int | None = None
        self._opened_at = self._rest_until = 0.0
        self._written = self._synced = 0
        self._elsewhere = 0
        self._looked_at = float("-inf")

    def write(self, records: Sequence[Record]) -> None:
        """Append events with one write(2), all or none; raises SpoolFull."""
        arrived_ms = int(self._clock() * 1000)
        data = b"".join([frame(record, arrived_ms) for record in records])
        with self._lock:
            try:
                if time.monotonic() < self._rest_until:
                    raise SpoolFull("the disk took nothing a moment ago")
                if self.size_bytes() + len(data) > self._max_bytes:
                    raise SpoolFull(f"the spool holds its {self._max_bytes} bytes")
                self._append(data)
            except OSError as error:
                raise SpoolFull(f"the spool can't be written: {error.strerror}") from error

    def tick(self) -> None:
        """Put on the disk what was written, and end a segment that is old enough."""
        with self._lock:
            file, written = self._file, self._written
            if file is None:
                return
            if time.monotonic() - self._opened_at >= self._segment_seconds:
                self._leave()
                return
            if written == self._synced:
                return
            copy = os.dup(file)
        try:
            os.fdatasync(copy)  # not under the lock: a write must not wait for the disk
            self._synced = max(self._synced, written)
        finally:
            os.close(copy)

    def size_bytes(self) -> int:
        """What all segments weigh, those of other processes as of a second ago."""
        now = time.monotonic()
        if now - self._looked_at >= _SIZE_SECONDS:
            self._looked_at = now
            self._elsewhere = size_bytes(self._directory) - self._written
        return self._elsewhere + self._written

    def close(self) -> None:
        """End the segment; a later write begins another."""
        with self._lock:
            self._leave()

    def _append(self, data: bytes) -> None:
        if self._file is None:
            self._file = self._begin()
        try:
            written = os.write(self._file, data)
        except OSError:
            self._forget_tail()
            raise
        if written != len(data):
            self._forget_tail()
            raise SpoolFull("the disk took only a part of a write")
        self._written += len(data)
        if self._written >= self._segment_bytes:
            self._leave()

    def _begin(self) -> int:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(4)}"
        hidden, path = self._directory / f".{name}", self._directory / (name + SUFFIX)
        file = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            # Shown only once it is locked: no reader may take a new segment for a dead one's.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            hidden.rename(path)
        except OSError:
            os.close(file)
            hidden.unlink(missing_ok=True)
            raise
        self._opened_at = time.monotonic()
        self._written = self._synced = 0
        return file

    def _forget_tail(self) -> None:
        """Cut off what a failed write left; where that fails too, the reader steps over it.

        The segment ends with it: a reader may have seen what is cut off, and be past its end.
        """
        assert self._file is not None  # noqa: S101 - it has just been written to
        if not self._written:  # else a full disk has every write leave an empty file
            self._rest_until = time.monotonic() + REST_SECONDS
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, self._written)
        self._leave()

    def _leave(self) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        self._elsewhere += self._written
        self._written = self._synced = 0
        try:
            os.fdatasync(file)
        except OSError:
            pass  # what was written is with the system; a full disk must not fail the next write
        finally:
            os.close(file)  # which gives up the lock


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
        alive = _is_locked(self.path)  # before reading: what it wrote until its end is then read
        with self.path.open("rb") as file:
            file.seek(self.offset)
            data = file.read()
        events, used, damaged = scan(data, is_whole=not alive)
        self.offset += used
        self.damaged_bytes += damaged
        return events, not alive

    def remove(self) -> None:
        """Delete the segment, or put it aside for a person where a part could not be read."""
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
    """The segments of a spool, the oldest first."""
    yield from sorted(path for path in _entries(directory) if path.suffix == SUFFIX)


def size_bytes(directory: Path) -> int:
    """What the segments of a spool weigh."""
    return sum(_size(path) for path in segments(directory))


def put_aside(path: Path, event: bytes) -> None:
    """Keep an event that can't be understood beside its segment, for a person."""
    with path.with_suffix(MALFORMED).open("ab") as file:
        file.write(frame(Record(Mark.SEND, event), int(time.time() * 1000)))
        file.flush()
        os.fdatasync(file.fileno())


class DrainLock:
    """Lets one relay at a time drain a directory."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / ".drain"
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


def _entries(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except FileNotFoundError:
        return []


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
