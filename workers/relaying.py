"""The relay: reads the outbox, packs the jobs that follow, sends them, acknowledges what is sent.

An entry leaves the outbox only when SQS has accepted every job of it; several relays may run, and
one that dies leaves its entries to the others. Nothing is remembered outside Redis. What leaves is
confirmed first, for the spools that hold a copy (`copy_watching.py`).
"""

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from adapters.event_jobs import EVENT, Translated, translate
from adapters.redis_outbox import OutboxEntry
from adapters.spool import digest
from config.failpoints import Failpoint, reach
from domain.errors import Malformed, MangaAssistError
from domain.ports import TaskMetrics
from workers.ledger import Held, Ledger
from workers.sending import QueueSender

logger = logging.getLogger(__name__)

READ_ENTRIES = 500
READ_PAUSE_SECONDS = 0.03
"""After a read that was not full: fewer, fuller reads."""
BLOCK_SECONDS = 0.5
BLOCK_WHILE_HOLDING_SECONDS = 0.02

KEEP_SECONDS = 2.0
CLAIM_IDLE_SECONDS = 10.0
"""An entry that its relay has not kept for so long is another relay's."""
FORGET_CONSUMER_SECONDS = 600.0
FLUSH_SECONDS = 3.5
HEALTHY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a relay holds at the most; beyond it the outbox waits in Redis."""

    entries: int = 20_000
    size_bytes: int = 64 * 1024 * 1024


class Outbox(Protocol):
    """What the relay needs of the outbox; see `adapters/redis_outbox.py`."""

    def read(self, count: int, block_seconds: float) -> list[OutboxEntry]: ...
    def claim_idle(self, idle_seconds: float, count: int) -> list[OutboxEntry]: ...
    def keep(self, entries: Iterable[tuple[int, bytes]]) -> None: ...
    def hand_back(self, entries: Iterable[tuple[int, bytes]]) -> None: ...
    def acknowledge(self, entries: Iterable[tuple[int, bytes]]) -> None: ...
    def set_aside(self, entry: OutboxEntry, reason: str) -> None: ...
    def fetch(self, shard: int, entry_id: bytes) -> OutboxEntry | None: ...
    def depth(self) -> int: ...
    def malformed(self) -> int: ...
    def oldest_seconds(self) -> float: ...
    def remove_idle_consumers(self, idle_seconds: float) -> int: ...


class Relay:
    """One relay; `run` works in the calling thread, the senders each in their own."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        senders: Mapping[str, QueueSender],
        queue_of: Callable[[str], str],
        ledger: Ledger,
        metrics: TaskMetrics,
        confirm: Callable[[Sequence[bytes]], None],
        bounds: Bounds | None = None,
    ) -> None:
        self._outbox = outbox
        self._confirm_digests = confirm
        self._senders = senders
        self._queue_of = queue_of
        self._ledger = ledger
        self._metrics = metrics
        self._bounds = bounds or Bounds()
        self._kept_at = self._tidied_at = 0.0
        self._turned_at = time.monotonic()
        self._failures = 0

    def run(self, stop: threading.Event) -> None:
        """Relay until `stop` is set, then send and acknowledge what is held."""
        for sender in self._senders.values():
            sender.start()
        while not stop.is_set():
            stop.wait(self._turn())
        self._leave()

    def healthy(self) -> bool:
        """Whether the loop has turned lately; an outage of SQS is not this process's illness."""
        return time.monotonic() - self._turned_at < HEALTHY_SECONDS

    def _turn(self) -> float:
        """Do what is to be done; the seconds to wait before the next turn."""
        try:
            self._settle()
            self._keep_house()
            pause = self._read()
        except MangaAssistError as error:
            logger.warning("the relay waits: %s", error)
            self._failures += 1
            return random.uniform(0.05, min(2.0, 0.1 * 2.0 ** min(self._failures, 5)))
        self._failures = 0
        self._turned_at = time.monotonic()
        return pause

    def _read(self) -> float:
        if self._is_full():
            return BLOCK_WHILE_HOLDING_SECONDS
        is_holding = self._ledger.load().entries > 0
        entries = self._outbox.read(
            READ_ENTRIES, BLOCK_WHILE_HOLDING_SECONDS if is_holding else BLOCK_SECONDS
        )
        if entries:
            reach(Failpoint.RELAY_AFTER_READ)
        self._take(entries)
        return 0.0 if len(entries) >= READ_ENTRIES or not entries else READ_PAUSE_SECONDS

    def _is_full(self) -> bool:
        load = self._ledger.load()
        return load.entries >= self._bounds.entries or load.size_bytes >= self._bounds.size_bytes

    def _take(self, entries: Iterable[OutboxEntry]) -> None:
        jobs: dict[str, list[tuple[str, bytes, Held]]] = {}
        unreadable: list[tuple[OutboxEntry, str]] = []
        now = time.monotonic()
        for entry in entries:
            translated = _translate(entry)
            if isinstance(translated, str):
                unreadable.append((entry, translated))
                continue
            held = Held(
                entry.shard,
                entry.id,
                translated.event_type,
                entry.size_bytes,
                len(translated.jobs),
                now,
                digest(entry.fields[EVENT]),
            )
            if self._ledger.hold(held):
                for kind, job in translated.jobs:
                    jobs.setdefault(self._queue_of(kind), []).append((kind, job, held))
        for queue, of_queue in jobs.items():
            self._senders[queue].add(of_queue)
        # Last, because it may fail: these are then claimed and looked at once more.
        for entry, reason in unreadable:
            self._set_aside(entry, reason)

    def _set_aside(self, entry: OutboxEntry, reason: str) -> None:
        if EVENT in entry.fields:  # where it is now a person sees it: its copy may go
            self._confirm([digest(entry.fields[EVENT])])
        self._outbox.set_aside(entry, reason)
        logger.error("entry %r of shard %d is set aside: %s", entry.id, entry.shard, reason)
        self._metrics.count("events_total", kind="unknown", outcome="malformed")

    def _settle(self) -> None:
        through = self._ledger.take_through()
        if through:
            self._confirm([held.digest for held in through])
            try:
                self._outbox.acknowledge(_ids(through))
                reach(Failpoint.RELAY_AFTER_ACKNOWLEDGE)
            except MangaAssistError:
                self._ledger.put_back(through)
                raise
            self._ledger.release(through)
            for kind, count in Counter(entry.event_type for entry in through).items():
                self._metrics.count("events_total", count, kind=kind, outcome="relayed")
        for held, reason in self._ledger.take_refused().items():
            self._set_aside_held(held, reason)

    def _confirm(self, digests: Sequence[bytes]) -> None:
        """Tell whoever has copies; where that fails they are sent again, which is harmless."""
        if not digests:
            return
        try:
            self._confirm_digests(digests)
        except MangaAssistError as error:
            logger.warning("%d events can't be confirmed: %s", len(digests), error)

    def _set_aside_held(self, held: Held, reason: str) -> None:
        try:
            entry = self._outbox.fetch(held.shard, held.id)
            if entry is not None:
                self._set_aside(entry, reason)
        except MangaAssistError:
            self._ledger.refused([held], reason)
            raise
        self._ledger.release([held])

    def _keep_house(self) -> None:
        now = time.monotonic()
        if now - self._kept_at >= KEEP_SECONDS:
            self._kept_at = now
            # Younger ones are not idle for long enough to be anybody else's.
            self._outbox.keep(_ids(self._ledger.held(until=now - KEEP_SECONDS)))
            self._metrics.set("outbox_depth", self._outbox.depth())
            self._metrics.set("outbox_oldest_seconds", self._outbox.oldest_seconds())
            self._metrics.set("outbox_malformed", self._outbox.malformed())
            self._claim()
        if now - self._tidied_at >= FORGET_CONSUMER_SECONDS / 10:
            self._tidied_at = now
            self._outbox.remove_idle_consumers(FORGET_CONSUMER_SECONDS)

    def _claim(self) -> None:
        while not self._is_full():
            claimed = self._outbox.claim_idle(CLAIM_IDLE_SECONDS, READ_ENTRIES)
            self._take(claimed)
            if len(claimed) < READ_ENTRIES:
                return

    def _leave(self) -> None:
        deadline = time.monotonic() + FLUSH_SECONDS
        for sender in self._senders.values():
            sender.flush()
        ended = [sender.join(deadline - time.monotonic()) for sender in self._senders.values()]
        try:
            self._settle()
            self._outbox.hand_back(_ids(self._ledger.held()))
        except MangaAssistError as error:
            logger.warning("leaving with entries unsettled, another relay takes them: %s", error)
        if not all(ended):
            logger.warning("left before everything was sent; another relay takes it")


def _translate(entry: OutboxEntry) -> Translated | str:
    """What follows from an entry, or why that can't be said."""
    try:
        return translate(entry.fields)
    except Malformed as error:
        return str(error)
    except Exception as error:
        # One entry that meets a fault of ours must not stop all the others.
        logger.exception("entry %r of shard %d", entry.id, entry.shard)
        return f"unexpected {type(error).__name__}"


def _ids(entries: Sequence[Held]) -> list[tuple[int, bytes]]:
    return [(entry.shard, entry.id) for entry in entries]
