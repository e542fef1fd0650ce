"""Writes the spool: events that Redis did not take, and copies of those that it did.

Each kind lies in segments of its own. What `write` has returned from survives the death of every
process, and after the next `tick` that of the machine. A copy is there for a switch of primaries
that loses what was acknowledged: it survives this process, is never synced, and makes room. What
was put aside for a person counts towards the bound of the disk, too.
"""

import errno
import fcntl
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from adapters import spool
from adapters.spool import COPY, SUFFIX, Mark, Record, SpoolFull, framed

log = logging.getLogger(__name__)

SEGMENT_BYTES = 4 * 1024 * 1024
SEGMENT_SECONDS = 2.0
REST_SECONDS = 0.2
COPIES_REST_SECONDS = 5.0
"""How long a full disk is left to the events that nobody else has."""
COPIES_SHARE = 0.5
"""Of what the events that Redis did not take leave of the spool."""
COPIES_TARGET = 0.875
"""Of their share: the rest is for those that come until the oldest are gone."""

_SIZE_SECONDS = 1.0
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


class SpoolWriter:
    """One process's way into the spool; its methods may be called by different threads."""

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
        self._clock = clock
        self._events = _Log(directory, SUFFIX, segment_bytes, segment_seconds)
        self._copies = _Log(directory, COPY, segment_bytes, segment_seconds)
        self._aside_bytes = 0
        with suppress(OSError):  # whoever writes meets it again
            self._aside_bytes = spool.aside_bytes(directory)

    def write(self, records: Sequence[Record]) -> None:
        """Append events with one write(2), all or none; raises SpoolFull."""
        arrived_ms = int(self._clock() * 1000)
        data = b"".join([framed(record.mark, [record.event], arrived_ms) for record in records])
        self._events.append(data, self._max_bytes - self._aside_bytes)

    def copy(self, events: Sequence[bytes]) -> None:
        """Append copies of events that Redis took, all or none; raises SpoolFull."""
        data = framed(Mark.AWAIT, events, int(self._clock() * 1000))
        self._copies.append(data, self._copies_max_bytes())

    def tick(self) -> int:
        """Sync what was written, end segments that are old enough; how many copies had to go."""
        is_full, self._events.is_disk_full = self._events.is_disk_full, False
        self._events.tick(is_durable=True)
        self._copies.tick(is_durable=False, end=is_full)
        if self._events.measure_if_due():
            self._aside_bytes = spool.aside_bytes(self._directory)
        self._copies.measure_if_due()
        if is_full:
            self._copies.rest(COPIES_REST_SECONDS)
            return self._drop_copies(0)
        return self._drop_copies(int(self._copies_max_bytes() * COPIES_TARGET))

    def size_bytes(self) -> int:
        """What the events weigh that Redis did not take; other processes' as of a second ago."""
        return self._events.size_bytes

    def copies_bytes(self) -> int:
        """What the copies weigh, those of other processes as of a second ago."""
        return self._copies.size_bytes

    def close(self) -> None:
        """End the segments; a later write begins others."""
        self._events.tick(is_durable=True, end=True)
        self._copies.tick(is_durable=False, end=True)

    def _copies_max_bytes(self) -> int:
        left = self._max_bytes - self._aside_bytes - self._events.size_bytes
        return int(max(0, left) * COPIES_SHARE)

    def _drop_copies(self, target_bytes: int) -> int:
        """Drop the oldest copies: a switch of primaries loses what came last."""
        dropped = 0
        if self._copies.size_bytes <= target_bytes:
            return dropped
        left = spool.size_bytes(self._directory, COPY)
        for path in spool.copies(self._directory):
            if left <= target_bytes:
                break
            try:
                if spool.is_locked(path):
                    continue
                data = path.read_bytes()
                path.unlink()
            except OSError:  # a relay or another process was faster, or it can't be read
                continue
            left -= len(data)
            dropped += data.count(spool.MAGIC)
        self._copies.measure()
        return dropped


class _Log:
    """The segment of one kind that is being written, and those that are to be synced."""

    def __init__(
        self, directory: Path, suffix: str, segment_bytes: int, segment_seconds: float
    ) -> None:
        self._directory = directory
        self._suffix = suffix
        self._segment_bytes = segment_bytes
        self._segment_seconds = segment_seconds
        self._lock = threading.Lock()
        self._file: int | None = None
        self._ended: list[int] = []
        self._opened_at = self._rest_until = 0.0
        self._written = 0
        self._is_synced = True
        self._elsewhere, self._measured_at = 0, float("-inf")
        self.is_disk_full = False
        with suppress(OSError):  # whoever writes meets it again
            self.measure()

    @property
    def size_bytes(self) -> int:
        """What all segments of this kind weigh."""
        return self._elsewhere + self._written

    def measure(self) -> None:
        """Look how much other processes have written, and relays deleted."""
        own, self._measured_at = self._written, time.monotonic()
        self._elsewhere = max(0, spool.size_bytes(self._directory, self._suffix) - own)

    def measure_if_due(self) -> bool:
        """Look again where the last time was a while ago, and say whether it was."""
        is_due = time.monotonic() - self._measured_at >= _SIZE_SECONDS
        if is_due:
            self.measure()
        return is_due

    def rest(self, seconds: float) -> None:
        """Take nothing for so long."""
        self._rest_until = time.monotonic() + seconds

    def append(self, data: bytes, max_bytes: int) -> None:
        """Write all of it or nothing; raises SpoolFull."""
        with self._lock:
            try:
                if time.monotonic() < self._rest_until:
                    raise SpoolFull("the disk took nothing a moment ago")
                if self.size_bytes + len(data) > max_bytes:
                    self.measure_if_due()
                if self.size_bytes + len(data) > max_bytes:
                    raise SpoolFull(f"the spool holds all that it may: {max_bytes} bytes")
                self._append(data)
            except OSError as error:
                self.is_disk_full |= error.errno in _DISK_FULL
                raise SpoolFull(f"the spool can't be written: {error.strerror}") from error

    def tick(self, *, is_durable: bool, end: bool = False) -> None:
        """End the segment if it is old enough or is to end; sync what was written and close."""
        with self._lock:
            age = time.monotonic() - self._opened_at
            if self._file is not None and (end or age >= self._segment_seconds):
                self._leave()
            files, self._ended = self._ended, []
            if is_durable and self._file is not None and not self._is_synced:
                files.append(os.dup(self._file))
            self._is_synced = True
        _close(files, is_durable=is_durable)  # not under the lock: no write waits for the disk

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
            self.is_disk_full = True
            raise SpoolFull("the disk took only a part of a write")
        self._written += len(data)
        self._is_synced = False
        if self._written >= self._segment_bytes:
            self._leave()

    def _begin(self) -> int:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(4)}"
        hidden, path = self._directory / f".{name}", self._directory / (name + self._suffix)
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
        return file

    def _forget_tail(self) -> None:
        """Cut off what a failed write left; where that fails too, the reader steps over it.

        The segment ends with it: a reader may have seen what is cut off, and be past its end.
        """
        assert self._file is not None  # noqa: S101 - it has just been written to
        if not self._written:  # else a full disk has every write leave an empty file
            self.rest(REST_SECONDS)
        try:
            os.ftruncate(self._file, self._written)
        except OSError as error:
            log.warning("the spool's torn tail stays: %s", error.strerror)
        self._leave()

    def _leave(self) -> None:
        """End the segment; whoever ticks next syncs and closes it."""
        if self._file is not None:
            self._ended.append(self._file)
            self._file = None
            self._elsewhere += self._written
            self._written = 0


def _close(files: Iterable[int], *, is_durable: bool) -> None:
    for file in files:
        try:
            if is_durable:
                os.fdatasync(file)
        except OSError as error:  # what was written is with the system
            log.warning("the spool is not on the disk: %s", error.strerror)
        finally:
            os.close(file)  # the last one of a segment gives up its lock
