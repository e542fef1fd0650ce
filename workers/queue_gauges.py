"""Keeps the depth of every queue and of its dead letters as gauges; one process does it, beat.

SQS's own counts are approximate. A queue that can't be asked keeps its last value.
"""

import logging
import threading
from collections.abc import Sequence
from typing import Protocol

from config.queues import dead_letter_name, sqs_name
from domain.errors import MangaAssistError
from domain.ports import TaskMetrics

logger = logging.getLogger(__name__)

POLL_SECONDS = 15.0


class Depths(Protocol):
    """Asks SQS."""

    def __call__(self, name: str) -> int:
        """The visible messages of the queue of this SQS name; raises MangaAssistError."""
        ...


class QueueGauges:
    """A thread that asks about every queue, again and again."""

    def __init__(self, queues: Sequence[str], depth: Depths, metrics: TaskMetrics) -> None:
        self._queues = queues
        self._depth = depth
        self._metrics = metrics
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="queue-gauges", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """End; a request under way is not waited for."""
        self._stop.set()

    def poll(self) -> None:
        """Ask about every queue once."""
        for queue in self._queues:
            for gauge, name in (
                ("queue_depth", sqs_name(queue)),
                ("dlq_depth", dead_letter_name(queue)),
            ):
                try:
                    self._metrics.set(gauge, self._depth(name), queue=queue)
                except MangaAssistError as error:
                    logger.warning("the depth of %s is not known: %s", name, error)

    def _run(self) -> None:
        while not self._stop.is_set():
            self.poll()
            self._stop.wait(POLL_SECONDS)
