"""What tests of threads that drain a directory share."""

import threading
from collections.abc import Callable

import pytest

SECONDS = 60.0


class Metrics:
    """Counts by outcome, or by name where there is none."""

    def __init__(self) -> None:
        self.counts: dict[str, float] = {}

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        key = labels.get("outcome", name)
        self.counts[key] = self.counts.get(key, 0) + amount

    def observe(self, name: str, value: float, **labels: str) -> None: ...

    def set(self, name: str, value: float, **labels: str) -> None: ...


def until(done: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    waiting = threading.Event()
    for _ in range(int(SECONDS / 0.02)):
        if done():
            return
        waiting.wait(0.02)
    pytest.fail("not in time")
