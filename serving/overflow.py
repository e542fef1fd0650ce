"""The last resort: events that neither Redis nor the disk takes, sent to SQS from memory.

In the background and bounded. A thread offers them to the spool again, then to SQS, until one
takes them. Events that are not audited may fill three quarters of it; what it does not take is
not accepted from the client either, so nothing that was accepted is given up while it runs.
"""

import logging
import random
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from adapters.spool import Mark, Record
from domain.errors import MangaAssistError, Transient
from serving.spooling import Spool

logger = logging.getLogger(__name__)

NOT_AUDITED_SHARE = 0.75
BATCH_EVENTS = 500
RETRY_SECONDS = (0.1, 1.0)


class SendEvents(Protocol):
    """Sends what follows from events straight to SQS."""

    def __call__(self, events: Sequence[bytes]) -> None:
        """Raises MangaAssistError where not all of it was taken; sending it twice is harmless."""
        ...


class Overflow:
    """A bounded memory, drained by a thread of its own."""

    def __init__(
        self, spool: Spool, send: SendEvents, *, max_bytes: int, shed: Callable[[str, int], None]
    ) -> None:
        self._spool = spool
        self._send = send
        self._max_bytes = max_bytes
        self._shed = shed
        self._changed = threading.Condition()
        self._events: deque[bytes] = deque()
        self._bytes = 0
        self._closing = self._abandoned = False
        self._thread: threading.Thread | None = None

    def offer(self, kind: str, events: Sequence[bytes], *, is_audited: bool) -> bool:
        """Take all of these or none; what is not audited has to leave room for what is."""
        size = sum(map(len, events))
        limit = self._max_bytes if is_audited else int(self._max_bytes * NOT_AUDITED_SHARE)
        with self._changed:
            if self._closing or self._bytes + size > limit:
                if not is_audited:
                    self._shed(kind, len(events))
                return False
            self._events.extend(events)
            self._bytes += size
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="overflow", daemon=True)
                self._thread.start()
            self._changed.notify()
        return True

    def close(self, seconds: float) -> int:
        """Send what is left for so long; how many events nobody took."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(seconds)
        self._abandoned = True
        if self._events:
            logger.error("%d events are lost: no Redis, disk or SQS took them", len(self._events))
        return len(self._events)

    def _run(self) -> None:
        failures = 0
        while not self._abandoned and (batch := self._next()) is not None:
            if self._hand_over(batch):
                failures = 0
                self._forget(len(batch))
            else:
                failures += 1
                base, cap = RETRY_SECONDS
                with self._changed:
                    self._changed.wait(random.uniform(0.5, 1.0) * min(cap, base * 2.0**failures))

    def _next(self) -> list[bytes] | None:
        with self._changed:
            while not self._events:
                if self._closing:
                    return None
                self._changed.wait()
            return [self._events[at] for at in range(min(BATCH_EVENTS, len(self._events)))]

    def _hand_over(self, batch: Sequence[bytes]) -> bool:
        try:
            self._spool.write([Record(Mark.SEND, event) for event in batch])
        except Transient:
            try:
                self._send(batch)
            except MangaAssistError as error:
                logger.warning("%d events wait in memory: %s", len(self._events), error)
                return False
        return True

    def _forget(self, count: int) -> None:
        with self._changed:
            for _ in range(count):
                self._bytes -= len(self._events.popleft())
