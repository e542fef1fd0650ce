"""Drains the spool into SQS: the events that Redis did not take or lost, in order of arrival.

A segment is deleted when SQS has accepted every job of every event in it. Needs no Redis. A relay
that dies leaves its segments to the next one, which reads them from their beginning: the effects
are idempotent.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from adapters import spool
from adapters.event_jobs import EVENT, translate
from adapters.spool import DrainLock, Segment
from config.failpoints import Failpoint, reach
from domain.errors import Malformed
from domain.ports import TaskMetrics
from workers.ledger import Held, Ledger
from workers.relaying import Bounds
from workers.sending import QueueSender
from workers.stepping_over import SteppingOver

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.1
LOCK_SECONDS = 1.0
GAUGE_SECONDS = 1.0
LEAVE_SECONDS = 3.0


@dataclass(slots=True)
class _Draining:
    """A segment of which something is still to be settled."""

    number: int
    segment: Segment
    left: int = 0
    ended: bool = False
    read: int = 0


class SpoolDrain:
    """Drains one directory; `run` works in the calling thread."""

    def __init__(
        self,
        directory: Path,
        *,
        senders: Mapping[str, QueueSender],
        queue_of: Callable[[str], str],
        ledger: Ledger,
        metrics: TaskMetrics,
        bounds: Bounds | None = None,
    ) -> None:
        self._directory = directory
        self._senders = senders
        self._queue_of = queue_of
        self._ledger = ledger
        self._metrics = metrics
        self._bounds = bounds or Bounds()
        """Held at the most, and one segment; the rest waits on the disk."""
        self._stepping_over = SteppingOver(metrics)
        self._lock = DrainLock(directory)
        self._draining: dict[Path, _Draining] = {}
        self._numbers: dict[int, _Draining] = {}
        self._events: dict[tuple[int, bytes], bytes] = {}
        self._begun = 0
        self._gauged_at = 0.0

    def run(self, stop: threading.Event) -> None:
        """Drain until `stop` is set, then wait a little for what is under way."""
        for sender in self._senders.values():
            sender.start()
        while not stop.wait(self._turn()):
            pass
        for sender in self._senders.values():
            sender.flush()
        deadline = time.monotonic() + LEAVE_SECONDS
        for sender in self._senders.values():
            sender.join(deadline - time.monotonic())
        self._settle()
        self._lock.give_up()

    def _turn(self) -> float:
        """Do what is to be done; the seconds until the next turn."""
        try:
            if not self._lock.take():
                return LOCK_SECONDS
            self._settle()
            self._read()
            self._settle()
            self._gauge()
        except OSError as error:
            logger.warning("the spool can't be drained: %s", error.strerror)
            return LOCK_SECONDS
        except Exception:
            # The edge of a thread: without it the spool would never be drained again.
            logger.exception("draining the spool stumbled and goes on")
            return LOCK_SECONDS
        return LOOK_SECONDS

    def _read(self) -> None:
        there = list(spool.segments(self._directory))
        for path in self._draining.keys() - set(there):
            self._draining[path].ended = True  # whoever deleted it, no more can come
        for path in there:
            if self._is_full():
                return
            draining = self._draining.get(path) or _Draining(self._begun + 1, Segment(path))
            if not draining.ended:
                with self._stepping_over(path):
                    self._read_segment(draining)

    def _is_full(self) -> bool:
        load = self._ledger.load()
        return load.entries >= self._bounds.entries or load.size_bytes >= self._bounds.size_bytes

    def _read_segment(self, draining: _Draining) -> None:
        damaged = draining.segment.damaged_bytes
        events, draining.ended = draining.segment.read()
        if draining.segment.path not in self._draining:
            self._begun = draining.number
            self._draining[draining.segment.path] = self._numbers[draining.number] = draining
        if events:
            reach(Failpoint.RELAY_AFTER_SPOOL_READ)
        if damaged != draining.segment.damaged_bytes:
            logger.error(
                "%d bytes of the spool's segment %s can't be read",
                draining.segment.damaged_bytes - damaged,
                draining.segment.path.name,
            )
            self._metrics.count("spool_events_total", outcome="damaged")
        jobs: dict[str, list[tuple[str, bytes, Held]]] = {}
        draining.left += len(events)  # first: a segment goes when nothing of it is left
        for spooled in events:
            draining.read += 1
            self._take(draining, spooled.event, jobs)
        for queue, of_queue in jobs.items():
            self._senders[queue].add(of_queue)

    def _take(
        self, draining: _Draining, event: bytes, jobs: dict[str, list[tuple[str, bytes, Held]]]
    ) -> None:
        try:
            translated = translate({EVENT: event})
        except Malformed as error:
            self._give_up(draining, event, str(error))
            return
        except Exception as error:
            # One event that meets a fault of ours must not stop all the others.
            logger.exception("an event of the spool")
            self._give_up(draining, event, f"unexpected {type(error).__name__}")
            return
        key = draining.read.to_bytes(8, "big")
        held = Held(
            draining.number,
            key,
            translated.event_type,
            len(event),
            len(translated.jobs),
            time.monotonic(),
            traceparent=translated.traceparent,
        )
        self._events[held.shard, held.id] = event
        self._ledger.hold(held)
        for kind, job in translated.jobs:
            jobs.setdefault(self._queue_of(kind), []).append((kind, job, held))

    def _give_up(self, draining: _Draining, event: bytes, reason: str) -> None:
        """Set an event aside; where that fails its segment stays, for the next relay to read."""
        try:
            self._put_aside(draining, event, reason)
        except OSError as error:
            logger.error("an event can't be set aside: %s", error.strerror)  # noqa: TRY400
        else:
            draining.left -= 1

    def _settle(self) -> None:
        through = self._ledger.take_through()
        refused = self._ledger.take_refused()
        for held, reason in refused.items():
            draining = self._numbers[held.shard]
            self._give_up(draining, self._events.pop((held.shard, held.id)), reason)
        for held in through:
            self._numbers[held.shard].left -= 1
            del self._events[held.shard, held.id]
        self._ledger.release([*through, *refused])
        if through:
            self._metrics.count("spool_events_total", len(through), outcome="drained")
            for held in through:
                self._metrics.count("events_total", kind=held.event_type, outcome="relayed")
        for path, draining in list(self._draining.items()):
            if draining.ended and not draining.left:
                reach(Failpoint.RELAY_BEFORE_SPOOL_DELETE)
                with self._stepping_over(path):
                    draining.segment.remove()
                    del self._draining[path], self._numbers[draining.number]

    def _put_aside(self, draining: _Draining, event: bytes, reason: str) -> None:
        spool.put_aside(draining.segment.path, event)
        logger.error("an event of the spool is set aside: %s", reason)
        self._metrics.count("spool_events_total", outcome="malformed")

    def _gauge(self) -> None:
        now = time.monotonic()
        if now - self._gauged_at >= GAUGE_SECONDS:
            self._gauged_at = now
            self._metrics.set("spool_bytes", spool.size_bytes(self._directory))
            self._metrics.set("spool_aside_bytes", spool.aside_bytes(self._directory))
