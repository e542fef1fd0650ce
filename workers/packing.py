"""Puts jobs of one queue into packs, and packs into batches: what a SendMessageBatch will carry.

Pure: it is told the time and knows no broker, no Redis and no thread. What a job belongs to (its
`owner`) is carried along unread, so that the caller learns what a sent pack settles.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from adapters.msgpack_wire import (
    BODY_OVERHEAD_BYTES,
    JOB_OVERHEAD_BYTES,
    PACK_OVERHEAD_BYTES,
    largest_job_bytes,
)
from config.queues import MAX_BATCH_BYTES, MAX_BATCH_MESSAGES
from domain.jobs import MAX_PACK_BYTES

Owner = TypeVar("Owner")


@dataclass(frozen=True, slots=True)
class Pack(Generic[Owner]):
    """Jobs of one kind that travel as one message; its id stays when it is sent again."""

    kind: str
    id: str
    jobs: Sequence[bytes]
    owners: Sequence[Owner]
    size_bytes: int
    traceparent: str = ""
    """Of the span that it is sent in, if there is one."""

    @property
    def body_bytes(self) -> int:
        """What the message's body weighs at the most."""
        return -(-self.size_bytes // 3) * 4 + BODY_OVERHEAD_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How full a pack may become and how long its first job may wait."""

    pack_jobs: int
    linger_seconds: float
    pack_bytes: int = MAX_PACK_BYTES
    batch_packs: int = MAX_BATCH_MESSAGES
    batch_bytes: int = MAX_BATCH_BYTES


@dataclass(slots=True)
class _Open(Generic[Owner]):
    since: float
    size_bytes: int = PACK_OVERHEAD_BYTES
    jobs: list[bytes] = field(default_factory=list)
    owners: list[Owner] = field(default_factory=list)


class Packer(Generic[Owner]):
    """The jobs of one queue on their way out. Not thread-safe: the caller locks.

    A batch is due once its oldest job has lingered, or as soon as it is as large as a batch can
    be. Every kind of the queue then goes along, which costs no further request.
    """

    def __init__(self, limits: Limits, new_id: Callable[[], str]) -> None:
        self._limits = limits
        self._new_id = new_id
        self._open: dict[str, _Open[Owner]] = {}
        self._closed: deque[Pack[Owner]] = deque()
        self._closed_bytes = 0
        self._oldest_closed: float | None = None

    def add(self, kind: str, job: bytes, owner: Owner, now: float) -> None:
        """Take one encoded job; raises ValueError for one that fits into no pack."""
        if len(job) > largest_job_bytes(self._limits.pack_bytes):
            raise ValueError(f"a {kind} job of {len(job)} bytes does not fit into a pack")
        size = len(job) + JOB_OVERHEAD_BYTES
        pack = self._open.get(kind)
        if pack is not None and pack.size_bytes + size > self._limits.pack_bytes:
            self._close(kind)
            pack = None
        if pack is None:
            pack = self._open[kind] = _Open(since=now)
        pack.jobs.append(job)
        pack.owners.append(owner)
        pack.size_bytes += size
        if len(pack.jobs) >= self._limits.pack_jobs:
            self._close(kind)

    def due_at(self) -> float | None:
        """When the next batch is to be taken; None while there is nothing to send."""
        if self._is_a_full_batch():
            return float("-inf")
        waiting = [pack.since for pack in self._open.values()]
        if self._oldest_closed is not None:
            waiting.append(self._oldest_closed)
        return min(waiting) + self._limits.linger_seconds if waiting else None

    def take(self, now: float, *, flush: bool = False) -> list[Pack[Owner]]:
        """The next batch if one is due (or, to flush, whatever there is), else nothing."""
        due = self.due_at()
        if due is None or (now < due and not flush):
            return []
        if not self._is_a_full_batch():
            for kind in list(self._open):
                self._close(kind)
        return self._first_batch()

    def put_back(self, packs: Iterable[Pack[Owner]]) -> None:
        """Have packs that were not sent go first in the next batch, which is due at once."""
        for pack in reversed(list(packs)):
            self._closed.appendleft(pack)
            self._closed_bytes += pack.body_bytes
            self._oldest_closed = float("-inf")

    def _is_a_full_batch(self) -> bool:
        return (
            len(self._closed) >= self._limits.batch_packs
            or self._closed_bytes >= self._limits.batch_bytes
        )

    def _close(self, kind: str) -> None:
        pack = self._open.pop(kind)
        closed = Pack(kind, self._new_id(), pack.jobs, pack.owners, pack.size_bytes)
        self._closed.append(closed)
        self._closed_bytes += closed.body_bytes
        if self._oldest_closed is None or pack.since < self._oldest_closed:
            self._oldest_closed = pack.since

    def _first_batch(self) -> list[Pack[Owner]]:
        batch: list[Pack[Owner]] = []
        size = 0
        while self._closed and len(batch) < self._limits.batch_packs:
            size += self._closed[0].body_bytes
            if batch and size > self._limits.batch_bytes:
                break
            batch.append(self._closed.popleft())
        self._closed_bytes -= sum(pack.body_bytes for pack in batch)
        if not self._closed:
            self._oldest_closed = None
        return batch
