"""How long the segments of one request took, for its Server-Timing and the metrics."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from serving.meters import Meters


class Segments:
    """The times of one request; a segment that it does not need takes none."""

    def __init__(self, names: Iterable[str], meters: Meters) -> None:
        self._meters = meters
        self._started = time.perf_counter()
        self._seconds = dict.fromkeys(names, 0.0)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Time and observe what happens inside, however it ends."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[name] = time.perf_counter() - started
            self._meters.segment_seconds(name).observe(self._seconds[name])

    def total(self) -> float:
        """Seconds since the request came."""
        return time.perf_counter() - self._started

    def server_timing(self, total_seconds: float) -> str:
        """The header's text: milliseconds by segment, and in total."""
        times = {**self._seconds, "total": total_seconds}
        return ", ".join(f"{name};dur={seconds * 1000:.3f}" for name, seconds in times.items())
