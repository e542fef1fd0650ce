"""The in-memory sink of both event paths: one byte for each event, in memory that processes share.

A byte counts how often its event was applied, so the bench sees progress, loss and doubles from
outside, and an application costs nothing worth measuring.
"""

import mmap
from pathlib import Path

ENVIRONMENT = "BENCH_SINK"


class Sink:
    """A view of the shared bytes; every process opens its own by the file's path."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._bytes = mmap.mmap(file.fileno(), 0)

    def apply(self, number: int) -> None:
        """Note that an event was applied; a count stays at 255."""
        self._bytes[number] = min(255, self._bytes[number] + 1)

    def applied(self) -> int:
        """How many events were applied at least once."""
        return len(self._bytes) - self._bytes[:].count(0)

    def twice(self) -> int:
        """How many events were applied more than once."""
        return self.applied() - self._bytes[:].count(1)


def create(path: Path, events: int) -> Sink:
    """A new sink for events numbered from 0."""
    path.write_bytes(bytes(events))
    return Sink(path)
