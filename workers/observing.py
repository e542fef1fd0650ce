"""What the transport reports, as metrics and as the liveness of a worker.

A worker is alive while each of its queues answers receives, empty or not, but for those that it
leaves alone on purpose: the process alone says nothing. Thread-safe; never raises into the
transport.
"""

import time
from collections.abc import Callable, Iterable

from domain.ports import TaskMetrics

RECEIVE_AGE_LIMIT_SECONDS = 45.0


class LastReceives:
    """When each queue last answered a receive; from the start until the first, the start."""

    def __init__(self, queues: Iterable[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at = dict.fromkeys(queues, clock())
        self._paused: frozenset[str] = frozenset()

    def succeeded(self, queue: str) -> None:
        """Note an answered receive."""
        self._at[queue] = self._clock()

    def ages_seconds(self) -> dict[str, float]:
        """The time since the last answered receive of each queue."""
        now = self._clock()
        return {queue: now - at for queue, at in self._at.items()}

    def healthy(self) -> bool:
        """Whether every queue that is asked has answered lately."""
        return all(
            age < RECEIVE_AGE_LIMIT_SECONDS or queue in self._paused
            for queue, age in self.ages_seconds().items()
        )

    def paused(self, queue: str) -> None:
        """Expect no receives of this queue."""
        self._paused |= {queue}

    def resumed(self, queue: str) -> None:
        """Expect receives again, from now on."""
        self._at[queue] = self._clock()
        self._paused -= {queue}


class MetricsObserver:
    """The transport's observer; `names` maps what a queue is called in SQS to our name."""

    def __init__(self, metrics: TaskMetrics, names: dict[str, str], receives: LastReceives) -> None:
        self._metrics = metrics
        self._names = names
        self._receives = receives

    def receive_succeeded(self, queue: str, messages: int, *, empty: bool) -> None:
        """Note that the queue answers, and that nothing waits in it where there was nothing."""
        name = self._names[queue]
        self._receives.succeeded(name)
        if empty:
            self._metrics.set("queue_oldest_seconds", 0.0, queue=name)

    def receive_failed(self, queue: str, code: str) -> None:
        """Count a failed receive."""
        self._metrics.count("receive_failures_total", queue=self._names[queue], code=code)

    def message_rejected(self, queue: str, reason: str) -> None:
        """Count a message that never became a task."""
        self._metrics.count("messages_rejected_total", queue=self._names[queue], reason=reason)

    def deletes(self, queue: str, ok: int, failed: int) -> None:
        """Count the acknowledgements that were given up."""
        if failed:
            self._metrics.count("delete_failures_total", failed, queue=self._names[queue])

    def heartbeat(self, queue: str, messages: int, failed: int) -> None:
        """Count prolonged invisibilities."""
        for outcome, count in (("extended", messages), ("failed", failed)):
            if count:
                name = self._names[queue]
                self._metrics.count("heartbeats_total", count, queue=name, outcome=outcome)

    def request(self, action: str) -> None:
        """Count a request."""
        self._metrics.count("sqs_requests_total", action=action)

    def put_off(self, queue: str, seconds: float) -> None:
        """Count how much later a retry comes."""
        self._metrics.count("retry_wait_seconds_total", seconds, queue=self._names[queue])

    def paused(self, queue: str, *, dependency: str) -> None:
        """Show the pause."""
        name = self._names[queue]
        self._receives.paused(name)
        self._metrics.set("queue_paused", 1, queue=name)

    def resumed(self, queue: str) -> None:
        """Show that the pause is over."""
        name = self._names[queue]
        self._receives.resumed(name)
        self._metrics.set("queue_paused", 0, queue=name)
