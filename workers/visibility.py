"""How long each received message stays ours: heartbeat, hand-back and backoff, in batches.

Base visibility is short, so that a dead worker's messages come back soon; a living one prolongs
what it holds, waiting or running. Two threads: one keeps the time, one talks to SQS.
"""

import logging
import math
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from workers.batches import Batches, Entry
from workers.sqs_requests import SqsClient, refused, send_batch
from workers.transport_observer import TransportObserver
from workers.transport_options import QueueOptions

logger = logging.getLogger(__name__)

LINGER_SECONDS = 0.01
RELEASE_ATTEMPTS = 3
"""A message that can't be handed back comes back by itself, one visibility timeout later."""


def full_jitter(receive_count: int, base_seconds: float, cap_seconds: float) -> int:
    """Seconds until a message that failed `receive_count` times is tried again."""
    bound = min(cap_seconds, base_seconds * 2.0 ** min(receive_count, 32))
    return round(random.uniform(0, bound))


@dataclass(slots=True)
class _Held:
    queue: QueueOptions
    since: float
    due: float


class Visibility:
    """Every message that this worker holds, from its receipt to its deletion or hand-back."""

    def __init__(
        self,
        client: Callable[[], SqsClient],
        observer: TransportObserver,
        *,
        limit_seconds: float,
        tick_seconds: float,
        stopping: Callable[[], None],
    ) -> None:
        self._client = client
        self._observer = observer
        self._limit_seconds = limit_seconds
        self._tick_seconds = tick_seconds
        self._on_stopping = stopping
        self._lock = threading.Lock()
        self._held: dict[str, _Held] = {}
        self._wake = threading.Event()
        self._stopping = False
        self._closed = False
        self._failing = False
        self._batches = Batches("sqs-visibility", self._send, LINGER_SECONDS)
        self._keeper = threading.Thread(target=self._keep, name="sqs-heartbeat", daemon=True)
        self._keeper.start()

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, queue: QueueOptions, handle: str) -> None:
        """Keep this message invisible from now on."""
        now = time.monotonic()
        with self._lock:
            self._held[handle] = _Held(queue, now, now + queue.visibility_timeout / 2)

    def forget(self, handle: str) -> None:
        """Stop keeping a message that is deleted."""
        with self._lock:
            self._held.pop(handle, None)

    def release(self, handles: Sequence[str], seconds: int = 0) -> None:
        """Hand messages back, to be received again after so many seconds."""
        with self._lock:
            entries = [
                Entry(held.queue.name, held.queue.url, handle, seconds)
                for handle in handles
                if (held := self._held.pop(handle, None)) is not None
            ]
            # Under the lock: a heartbeat after this would hide the message again.
            self._batches.put(entries)

    def stop_soon(self) -> None:
        """Have `stopping` called by the keeper's thread; safe in a signal handler."""
        if not self._stopping:
            self._stopping = True
            self._wake.set()

    def close(self, timeout: float) -> None:
        """End both threads after sending what waits."""
        self._closed = True
        self._wake.set()
        self._keeper.join(timeout)
        self._batches.close(timeout)

    def _keep(self) -> None:
        told = False
        while not self._closed:
            self._wake.wait(self._tick_seconds)
            self._wake.clear()
            try:
                if self._stopping and not told:
                    told = True
                    self._on_stopping()
                self._beat(time.monotonic())
            except Exception:
                logger.exception("the heartbeat stumbled and goes on")

    def _beat(self, now: float) -> None:
        with self._lock:
            entries = []
            for handle, held in self._held.items():
                if now < held.due:
                    continue
                if now - held.since > self._limit_seconds:
                    held.due = math.inf
                    logger.error(
                        "queue %s: a task seems hung; its message is let go", held.queue.name
                    )
                    continue
                held.due = now + held.queue.visibility_timeout / 2
                entries.append(
                    Entry(
                        held.queue.name,
                        held.queue.url,
                        handle,
                        held.queue.visibility_timeout,
                        is_heartbeat=True,
                    )
                )
            self._batches.put(entries)

    def _send(self, batch: Sequence[Entry]) -> Sequence[Entry]:
        queue, url = batch[0].queue, batch[0].url
        entries = [
            {"Id": str(i), "ReceiptHandle": e.handle, "VisibilityTimeout": e.seconds}
            for i, e in enumerate(batch)
        ]
        self._observer.request("ChangeMessageVisibilityBatch")
        failed = send_batch(self._client().change_message_visibility_batch, url, entries, batch)
        if bool(failed) != self._failing:
            self._failing = bool(failed)
            what = f"fails: {failed[0][1]}" if failed else "works again"
            logger.warning("queue %s: changing visibility %s", queue, what)
        self._count_heartbeats(queue, batch, failed)
        return [
            entry
            for entry, code in failed
            if not entry.is_heartbeat and not refused(code) and entry.attempts < RELEASE_ATTEMPTS
        ]

    def _count_heartbeats(
        self, queue: str, batch: Sequence[Entry], failed: Sequence[tuple[Entry, str]]
    ) -> None:
        beats = sum(entry.is_heartbeat for entry in batch)
        missed = 0
        with self._lock:
            for entry, code in failed:
                held = self._held.get(entry.handle)
                if held is None or not entry.is_heartbeat:
                    continue  # deleted or handed back meanwhile: nothing is lost
                missed += 1
                # Void: another worker has it by now. Otherwise try again with the next tick.
                held.due = math.inf if refused(code) else time.monotonic()
        if beats:
            self._observer.heartbeat(queue, beats - missed, missed)
