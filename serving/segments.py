"""How long the segments of one request took, for its Server-Timing, the metrics and its span."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from domain.errors import MangaAssistError
from serving.meters import Meters
from serving.tracing import Part, RequestTrace


class Segments:
    """The times of one request; a segment that it does not need takes none."""

    def __init__(self, names: Iterable[str], meters: Meters) -> None:
        self._meters = meters
        self._seconds = dict.fromkeys(names, 0.0)
        self.started = time.perf_counter()
        self.parts: list[Part] = []
        self.trace: RequestTrace | None = None
        """Of a request that is traced."""

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Time and observe what happens inside, however it ends."""
        started, failure = time.perf_counter(), ""
        try:
            yield
        except MangaAssistError as error:
            failure = type(error).__name__
            raise
        finally:
            ended = time.perf_counter()
            self.parts.append(Part(name, started, ended, failure))
            self._seconds[name] = ended - started
            self._meters.segment_seconds(name).observe(self._seconds[name])

    def total(self) -> float:
        """Seconds since the request came."""
        return time.perf_counter() - self.started

    def server_timing(self, total_seconds: float) -> str:
        """The header's text: milliseconds by segment, and in total."""
        times = {**self._seconds, "total": total_seconds}
        return ", ".join(f"{name};dur={seconds * 1000:.3f}" for name, seconds in times.items())
