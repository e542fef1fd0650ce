"""One thread for each queue that sends its packs: batched, one request at a time, until taken.

A pack that SQS did not take goes first in the next batch, after a jittered pause; only what SQS
calls the sender's own fault is given up, and reported. Where it says so of a whole batch, each pack
is sent alone, so that one bad pack does not cost the others. Knows no Redis and no event.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from config.failpoints import Failpoint, reach
from domain.errors import MangaAssistError, Permanent
from domain.ports import TaskMetrics
from domain.tracing import Traces
from workers.ledger import Held, Ledger
from workers.packing import Pack, Packer
from workers.tracing import sending

logger = logging.getLogger(__name__)

BACKOFF_BASE_SECONDS = 0.1
BACKOFF_CAP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why SQS did not take a pack; a `final` one can never be taken.

    `code` labels a metric; `detail` says more to a person where there is more to say.
    """

    code: str
    final: bool
    detail: str = ""


SendPacks = Callable[[str, Sequence[Pack[Held]]], Mapping[str, Refusal]]
"""Sends one batch to a queue and gives the packs that were not taken, by their ids.

Raises MangaAssistError where none was.
"""


@dataclass(frozen=True, slots=True)
class Sendings:
    """Where a sender reports to."""

    ledger: Ledger
    metrics: TaskMetrics
    traces: Traces | None = None


class QueueSender:
    """The way out to one queue."""

    def __init__(self, queue: str, packer: Packer[Held], send: SendPacks, to: Sendings) -> None:
        self.queue = queue
        self._packer = packer
        self._send = send
        self._to = to
        self._changed = threading.Condition()
        self._failures = 0
        self._not_before = 0.0
        self._flushing = False
        self._thread = threading.Thread(target=self._run, name=f"send-{queue}", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def add(self, jobs: Sequence[tuple[str, bytes, Held]]) -> None:
        """Take jobs on: the kind, the bytes and the entry of each."""
        now = time.monotonic()
        with self._changed:
            before = self._packer.due_at()
            for kind, job, entry in jobs:
                self._packer.add(kind, job, entry, now)
            if before is None or self._packer.due_at() == float("-inf"):
                self._changed.notify()

    def flush(self) -> None:
        """Send whatever there is without lingering, then end."""
        with self._changed:
            self._flushing = True
            self._changed.notify()

    def join(self, timeout_seconds: float) -> bool:
        """Wait for the end after a `flush`; False where the time was not enough."""
        self._thread.join(max(0.0, timeout_seconds))
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (batch := self._next_batch()) is not None:
            self._send_batch(batch)

    def _next_batch(self) -> list[Pack[Held]] | None:
        with self._changed:
            while True:
                due = self._packer.due_at()
                if due is None and self._flushing:
                    return None
                now = time.monotonic()
                if due is not None:
                    due = max(float("-inf") if self._flushing else due, self._not_before)
                    if due <= now:
                        return self._packer.take(now, flush=self._flushing)
                self._changed.wait(None if due is None else due - now)

    def _send_batch(self, batch: Sequence[Pack[Held]]) -> None:
        traced = sending(self.queue, batch, self._to.traces)
        reach(Failpoint.RELAY_BEFORE_SEND)
        refusals = self._refusals(traced.packs)
        reach(Failpoint.RELAY_AFTER_SEND)
        traced.ended({pack_id: refusal.code for pack_id, refusal in refusals.items()})
        self._settle(batch, refusals)

    def _refusals(self, batch: Sequence[Pack[Held]]) -> Mapping[str, Refusal]:
        try:
            return self._send(self.queue, batch)
        except MangaAssistError as error:
            logger.warning("queue %s: none of %d packs was sent: %s", self.queue, len(batch), error)
            final = isinstance(error, Permanent)
            if final and len(batch) > 1:
                return self._refusals_one_by_one(batch)
            refusal = Refusal(type(error).__name__, final, str(error))
        except Exception:
            # The edge of a thread: without it the queue would never be sent to again.
            logger.exception("queue %s: sending failed", self.queue)
            refusal = Refusal("unexpected", final=False)
        return {pack.id: refusal for pack in batch}

    def _refusals_one_by_one(self, batch: Sequence[Pack[Held]]) -> Mapping[str, Refusal]:
        refusals: dict[str, Refusal] = {}
        for pack in batch:
            refusals.update(self._refusals([pack]))
        return refusals

    def _settle(self, batch: Sequence[Pack[Held]], refusals: Mapping[str, Refusal]) -> None:
        again = []
        for pack in batch:
            refusal = refusals.get(pack.id)
            if refusal is None:
                self._to.ledger.sent(pack.owners)
                self._to.metrics.observe("relay_pack_jobs", len(pack.jobs), queue=self.queue)
                continue
            self._to.metrics.count(
                "relay_send_failures_total", queue=self.queue, reason=refusal.code
            )
            if refusal.final:
                why = refusal.detail or refusal.code
                self._to.ledger.refused(pack.owners, f"SQS refused a pack: {why}")
            else:
                again.append(pack)
        with self._changed:
            self._packer.put_back(again)
            self._failures = self._failures + 1 if again else 0
            self._not_before = time.monotonic() + _pause_seconds(self._failures) if again else 0.0


def _pause_seconds(failures: int) -> float:
    """Full jitter over an exponential cap."""
    cap = min(BACKOFF_CAP_SECONDS, BACKOFF_BASE_SECONDS * 2.0 ** min(failures, 16))
    return random.uniform(0, cap)
