"""An append-only file of CRC-framed payloads: what was acknowledged survives a killed process.

Each append is one write(2) before the reply, so SIGKILL loses nothing; a machine that loses power
may (no fsync per record). Knows nothing of what the payloads say.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

FRAME = struct.Struct("<II")
MAGIC = b"EMUJ0001"
COMPACT_AT_BYTES = 64 * 1024 * 1024
COMPACT_AT_GROWTH = 4


class JournalError(Exception):
    """The journal cannot be opened or written; nothing was recorded."""


def _framed(payload: bytes) -> bytes:
    return FRAME.pack(len(payload), zlib.crc32(payload)) + payload


class Journal:
    def __init__(self, path: Path, *, compact_at_bytes: int = COMPACT_AT_BYTES) -> None:
        self._path = path
        self._compact_at_bytes = compact_at_bytes
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = self._locked(path.with_name(path.name + ".lock"))
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise JournalError(f"cannot open {path}: {error.strerror}") from error
        self._size = 0
        self._compacted_size = 0

    @staticmethod
    def _locked(path: Path) -> int:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(fd)
            raise JournalError(f"{path} is held by another process") from error
        return fd

    def replay(self) -> Iterator[bytes]:
        """Every whole payload in order; call once, before the first append. Cuts a torn tail."""
        with self._path.open("rb") as file:
            head = file.read(len(MAGIC))
            if head and head != MAGIC[: len(head)]:
                raise JournalError(f"{self._path} is not a journal")
            self._size = len(head)
            if head == MAGIC:
                yield from self._frames(file)
        if self._size < len(MAGIC):
            self._size = 0
            self._write(MAGIC)
        os.ftruncate(self._fd, self._size)

    def _frames(self, file: BinaryIO) -> Iterator[bytes]:
        while len(head := file.read(FRAME.size)) == FRAME.size:
            length, checksum = FRAME.unpack(head)
            payload = file.read(length)
            if len(payload) < length or zlib.crc32(payload) != checksum:
                return
            self._size += FRAME.size + length
            yield payload

    def append(self, payload: bytes) -> None:
        self._write(_framed(payload))

    def _write(self, data: bytes) -> None:
        try:
            written = os.pwrite(self._fd, data, self._size)
            while written < len(data):
                written += os.pwrite(self._fd, data[written:], self._size + written)
        except OSError as error:
            # a half-written frame must not stand in front of the next one
            os.ftruncate(self._fd, self._size)
            raise JournalError(f"cannot write {self._path}: {error.strerror}") from error
        self._size += len(data)

    @property
    def wants_compaction(self) -> bool:
        return self._size > max(self._compact_at_bytes, self._compacted_size * COMPACT_AT_GROWTH)

    def compact(self, payloads: Iterable[bytes]) -> None:
        """Replace the whole history by these payloads; a crash leaves the old file or the new."""
        fresh = self._path.with_name(self._path.name + ".new")
        try:
            with fresh.open("wb") as file:
                file.write(MAGIC)
                for payload in payloads:
                    file.write(_framed(payload))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
            fd = os.open(self._path, os.O_RDWR)
        except OSError as error:
            raise JournalError(f"cannot compact {self._path}: {error.strerror}") from error
        os.close(self._fd)
        self._fd = fd
        self._size = self._compacted_size = os.fstat(fd).st_size

    def close(self) -> None:
        os.close(self._fd)
        os.close(self._lock)
