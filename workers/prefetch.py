"""Messages received and not yet started, and how many more to ask for.

Celery is given a message only when a slot is free for it, so that whatever waits can be handed back
when the worker stops. How many may wait follows the pace: many when tasks take no time (full
receives, few requests), about none when they are slow (another worker may be free). Thread-safe;
knows neither SQS nor Celery.
"""

import math
import threading
import time
from collections import deque
from typing import Generic, TypeVar

Message = TypeVar("Message")

MAX_AHEAD = 20
FULL_RECEIVE = 10
_SAMPLE_SECONDS = 0.5


class Prefetch(Generic[Message]):
    """Waiting messages by queue, handed out in turns."""

    def __init__(self, ahead_seconds: float) -> None:
        self._ahead_seconds = ahead_seconds
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[Message]] = {}
        self._count = 0
        self._finished = 0
        self._sampled_at = time.monotonic()
        self._per_second = 0.0

    def __len__(self) -> int:
        return self._count

    def add(self, queue: str, message: Message) -> None:
        """Keep a message until a slot is free."""
        with self._lock:
            self._waiting.setdefault(queue, deque()).append(message)
            self._count += 1

    def next(self) -> tuple[str, Message] | None:
        """Take the oldest message of the queue whose turn it is."""
        with self._lock:
            for queue in self._waiting:
                messages = self._waiting.pop(queue)
                message = messages.popleft()
                self._count -= 1
                if messages:
                    self._waiting[queue] = messages  # to the end of the line
                return queue, message
            return None

    def drain(self) -> list[tuple[str, Message]]:
        """Take everything that waits."""
        with self._lock:
            everything = [(q, m) for q, messages in self._waiting.items() for m in messages]
            self._waiting.clear()
            self._count = 0
            return everything

    def take(self, queue: str) -> list[Message]:
        """Take everything that waits of one queue."""
        with self._lock:
            messages = list(self._waiting.pop(queue, ()))
            self._count -= len(messages)
            return messages

    def finished(self) -> None:
        """Count one message done: the pace decides how many may wait."""
        self._finished += 1
        now = time.monotonic()
        if (spent := now - self._sampled_at) >= _SAMPLE_SECONDS:
            self._per_second = (self._per_second + self._finished / spent) / 2
            self._finished = 0
            self._sampled_at = now

    def wanted(self, free_slots: int) -> int:
        """Say how many messages to ask for now; 0 when enough wait."""
        ahead = min(MAX_AHEAD, math.ceil(self._per_second * self._ahead_seconds))
        if self._count > ahead // 2 and self._count >= free_slots:
            return 0  # ask later, for more at once
        return max(0, min(FULL_RECEIVE, free_slots + ahead - self._count))
