"""How many retries of a queue may come beside its first attempts, and how much later the others do.

A token bucket: each first attempt earns a share of a retry, `burst` of them are there from the
start. What is retried beyond that is put off until first attempts at the present pace have paid for
it, but never for longer than a limit: when a fault is mended, nothing may wait for hours.

So where everything fails, retries stay within the share for about `share * limit` seconds. A fault
that stands for longer is retried as often as messages are received, each time `limit` later: the
budget flattens storms, and how often one message is tried is max_receives' to say.
Pure: it is told the time, and knows neither message nor queue.
"""

import math
import time
from collections.abc import Callable

PACE_SECONDS = 60.0
"""The pace is that of about the last minute."""


class RetryBudget:
    """The budget of one queue in one worker."""

    def __init__(
        self, share: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._share = share
        self._burst = float(burst)
        self._clock = clock
        self._tokens = float(burst)
        self._per_second = 0.0
        self._counted_at = clock()

    def first_attempt(self) -> None:
        """Earn for a message that was received for the first time."""
        self._tokens = min(self._burst, self._tokens + self._share)
        self._per_second = self._pace() + 1 / PACE_SECONDS
        self._counted_at = self._clock()

    def extra_seconds(self, limit: float) -> float:
        """Spend on a retry; how long to put it off beyond its backoff, at most `limit`."""
        self._tokens -= 1
        if self._tokens >= 0:
            return 0.0
        earned_per_second = self._share * self._pace()
        # No more debt than the limit pays for: what comes later must not wait for all of a storm.
        self._tokens = max(self._tokens, -max(1.0, limit * earned_per_second))
        return min(limit, -self._tokens / earned_per_second) if earned_per_second else limit

    def _pace(self) -> float:
        """First attempts a second lately."""
        return self._per_second * math.exp((self._counted_at - self._clock()) / PACE_SECONDS)
