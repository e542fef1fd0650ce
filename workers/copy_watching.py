"""Watches over the spool's copies of events until a relay has confirmed them.

A copy whose event left the outbox unconfirmed is of an event that Redis lost, as a switch of
primaries may: it is written to the spool as one to be sent. Nothing is decided by any clock: an
event is gone when the oldest of each shard came after what was the newest a look after its copy.
Without Redis the copies wait. A relay that dies leaves them to the next, which reads them again.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol

from adapters import spool
from adapters.redis_confirmations import EntryId, Sight
from adapters.spool import DrainLock, Mark, Record, Segment
from domain.errors import MangaAssistError
from domain.ports import TaskMetrics
from workers.stepping_over import SteppingOver

logger = logging.getLogger(__name__)

WAIT_SECONDS = 1.0
GAUGE_SECONDS = 1.0
RESEND_EVENTS = 1000


@dataclass(frozen=True, slots=True)
class Limits:
    """How often a watch looks, and how much it remembers."""

    look_seconds: float = 0.25
    awaited: int = 200_000
    """Copies looked after at a time; later ones wait on the disk."""
    early: int = 200_000
    """Confirmations whose copy was not read yet; most of them may be other hosts'."""


class Confirmations(Protocol):
    """What is in the outbox, and what was; see `adapters/redis_confirmations.py`."""

    def look(self) -> Sight: ...
    def confirmed(self) -> tuple[Sequence[bytes], bool]: ...


class Spool(Protocol):
    """Where an event is written that is to be sent; see `adapters/spool_writing.py`."""

    def write(self, records: Sequence[Record]) -> None: ...
    def close(self) -> None: ...


@dataclass(slots=True)
class _Copies:
    """One segment of copies; `last` is the newest entry of each shard a look after its end.

    A copy may be written a moment before its event reaches the outbox: a look later it has.
    """

    segment: Segment
    missing: set[bytes] = field(default_factory=set)
    last: Mapping[int, EntryId] | None = None
    ended: bool = False
    was_looked_at: bool = False

    def have_left(self, sight: Sight) -> bool:
        """Whether no event of it can be in the outbox any more."""
        return (
            self.ended
            and self.last is not None
            and all(
                shard not in sight.oldest or sight.oldest[shard] > newest
                for shard, newest in self.last.items()
            )
        )


class CopyWatch:
    """Watches over one directory; `run` works in the calling thread."""

    def __init__(
        self,
        directory: Path,
        *,
        confirmations: Confirmations,
        spool_writer: Spool,
        metrics: TaskMetrics,
        limits: Limits | None = None,
    ) -> None:
        self._directory = directory
        self._limits = limits or Limits()
        self._confirmations = confirmations
        self._spool = spool_writer
        self._metrics = metrics
        self._lock = DrainLock(directory, "copies")
        self._copies: dict[Path, _Copies] = {}
        self._awaited: dict[bytes, _Copies] = {}
        self._early: dict[bytes, None] = {}
        self._stepping_over = SteppingOver(metrics)
        self._problem = ""
        self._gauged_at = 0.0

    def run(self, stop: threading.Event) -> None:
        """Watch until `stop` is set."""
        while not stop.wait(self._turn()):
            pass
        self._lock.give_up()

    def _turn(self) -> float:
        """Do what is to be done; the seconds until the next turn."""
        try:
            if not self._lock.take():
                return WAIT_SECONDS
            self._read()
            if self._copies:
                self._decide()
            self._gauge()
        except MangaAssistError as error:
            self._note(str(error))
            return WAIT_SECONDS
        except OSError as error:
            self._note(f"the directory: {error.strerror}")
            return WAIT_SECONDS
        except Exception:
            # The edge of a thread: without it nobody would watch any more.
            logger.exception("watching copies stumbled and goes on")
            return WAIT_SECONDS
        self._problem = ""
        return self._limits.look_seconds

    def _gauge(self) -> None:
        now = time.monotonic()
        if now - self._gauged_at >= GAUGE_SECONDS:
            self._gauged_at = now
            self._metrics.set("spool_copies_bytes", spool.size_bytes(self._directory, spool.COPY))

    def _note(self, problem: str) -> None:
        if problem != self._problem:  # once, not with every turn
            self._problem = problem
            logger.warning("copies of events wait: %s", problem)

    def _read(self) -> None:
        there = list(spool.copies(self._directory))
        for path in self._copies.keys() - set(there):
            self._forget(path)  # had to make room
        for path in there:
            if len(self._awaited) >= self._limits.awaited:
                return
            copies = self._copies.get(path) or _Copies(Segment(path))
            if copies.ended:
                continue
            with self._stepping_over(path):
                events, copies.ended = copies.segment.read()
                self._copies[path] = copies
                for spooled in events:
                    self._await(copies, spool.digest(spooled.event))

    def _await(self, copies: _Copies, digest: bytes) -> None:
        if digest in self._early:
            del self._early[digest]
            self._metrics.count("spool_events_total", outcome="confirmed")
        else:
            copies.missing.add(digest)
            self._awaited[digest] = copies

    def _decide(self) -> None:
        sight = self._confirmations.look()
        for copies in self._copies.values():
            if copies.last is None and copies.was_looked_at:
                copies.last = sight.newest
            copies.was_looked_at = copies.ended
        self._take_confirmed()
        for path, copies in list(self._copies.items()):
            with self._stepping_over(path):
                if copies.ended and not copies.missing:
                    self._remove(path)
                elif copies.have_left(sight):
                    self._send_again(path, copies)

    def _take_confirmed(self) -> None:
        more = True
        while more:
            digests, more = self._confirmations.confirmed()
            known = 0
            for digest in digests:
                copies = self._awaited.pop(digest, None)
                if copies is None:
                    self._early[digest] = None
                else:
                    known += 1
                    copies.missing.discard(digest)
            if known:
                self._metrics.count("spool_events_total", known, outcome="confirmed")
            if more:
                self._read()  # as many copies as there is room for again: both come in one order
            for digest in list(islice(self._early, max(0, len(self._early) - self._limits.early))):
                del self._early[digest]

    def _send_again(self, path: Path, copies: _Copies) -> None:
        events, _ = Segment(path).read()
        lost = [
            Record(Mark.SEND, one.event)
            for one in events
            if spool.digest(one.event) in copies.missing
        ]
        for at in range(0, len(lost), RESEND_EVENTS):
            self._spool.write(lost[at : at + RESEND_EVENTS])
        self._spool.close()  # and with that it is on the disk
        logger.error("Redis lost %d events that it had taken; they are sent again", len(lost))
        self._metrics.count("spool_events_total", len(lost), outcome="lost")
        self._remove(path)

    def _remove(self, path: Path) -> None:
        self._copies[path].segment.remove()
        self._forget(path)

    def _forget(self, path: Path) -> None:
        copies = self._copies.pop(path)
        for digest in copies.missing:
            if self._awaited.get(digest) is copies:
                del self._awaited[digest]
