"""A rate that all threads of a process keep together; who comes too soon waits."""

import threading
import time
from collections.abc import Callable


class TokenBucket:
    """Lets `per_second` calls pass, and a second's worth at once after a pause."""

    def __init__(
        self,
        per_second: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._per_second = per_second
        self._burst = max(1.0, per_second)
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._tokens = self._burst
        self._at = clock()

    def take(self) -> None:
        """Wait for a turn."""
        with self._lock:
            now = self._clock()
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_second)
            self._at = now
            # Below nothing: whoever comes next waits behind those who wait already.
            self._tokens -= 1.0
            wait = -self._tokens / self._per_second
        if wait > 0:
            self._sleep(wait)
