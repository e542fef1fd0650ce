"""Sends entries to SQS ten at a time from a thread of its own, so that nobody waits for SQS.

Knows neither what an entry asks for nor how it is sent: that is the caller's `send`.
"""

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from config.queues import MAX_BATCH_MESSAGES

MAX_DELAY_SECONDS = 3.0


def jittered_backoff(failures: int, cap: float = MAX_DELAY_SECONDS) -> float:
    """Seconds until the next attempt after so many failures in a row."""
    return random.uniform(0.5, 1.0) * min(cap, 0.1 * 2.0 ** min(failures, 10))


@dataclass(slots=True)
class Entry:
    """One message of a batch; `seconds` is its new invisibility, where that is what is asked."""

    queue: str
    url: str
    handle: str
    seconds: int = 0
    is_heartbeat: bool = False
    attempts: int = 0
    since: float = field(default_factory=time.monotonic)


Send = Callable[[Sequence[Entry]], Sequence[Entry]]
"""Sends entries of one queue and returns those to be tried again; never raises."""


class Batches:
    """Entries wait up to `linger_seconds` for company; failed ones are sent again with backoff."""

    def __init__(self, name: str, send: Send, linger_seconds: float) -> None:
        self._name = name
        self._send = send
        self._linger_seconds = linger_seconds
        self._changed = threading.Condition()
        self._waiting: dict[str, deque[Entry]] = {}
        self._count = 0
        self._failures = 0
        self._deadline: float | None = None
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        return self._count

    def put(self, entries: Sequence[Entry]) -> None:
        """Take entries over; returns at once."""
        with self._changed:
            for entry in entries:
                self._waiting.setdefault(entry.url, deque()).append(entry)
            self._count += len(entries)
            if self._thread is None and self._deadline is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self, timeout: float) -> int:
        """Send what is left, for at most `timeout` seconds; returns how many were not sent."""
        with self._changed:
            self._deadline = time.monotonic() + timeout
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout + 1.0)
        return self._count

    def _run(self) -> None:
        while (batch := self._next()) is not None:
            again = list(self._send(batch))
            self._failures = self._failures + 1 if again else 0
            with self._changed:
                self._count -= len(batch) - len(again)
                for entry in again:
                    entry.attempts += 1
                    self._waiting.setdefault(entry.url, deque()).append(entry)
                if again:
                    self._pause(jittered_backoff(self._failures))

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        if self._deadline is not None:
            until = min(until, self._deadline)
        while (left := until - time.monotonic()) > 0:
            self._changed.wait(left)
            if self._deadline is not None:
                until = min(until, self._deadline)

    def _next(self) -> list[Entry] | None:
        with self._changed:
            while True:
                now = time.monotonic()
                if self._deadline is not None and (not self._waiting or now >= self._deadline):
                    return None
                ready, due = self._most_urgent(now)
                if ready is not None:
                    return self._take(ready)
                self._changed.wait(due)

    def _most_urgent(self, now: float) -> tuple[str | None, float | None]:
        """Tell which queue's entries go now, or after how long to look again."""
        oldest: tuple[float, str] | None = None
        for url, entries in self._waiting.items():
            if len(entries) >= MAX_BATCH_MESSAGES or self._deadline is not None:
                return url, None
            if oldest is None or entries[0].since < oldest[0]:
                oldest = entries[0].since, url
        if oldest is None:
            return None, None
        due = oldest[0] + self._linger_seconds - now
        return (oldest[1], None) if due <= 0 else (None, due)

    def _take(self, url: str) -> list[Entry]:
        entries = self._waiting.pop(url)
        batch = [entries.popleft() for _ in range(min(MAX_BATCH_MESSAGES, len(entries)))]
        if entries:
            self._waiting[url] = entries  # to the end: queues take turns
        return batch
