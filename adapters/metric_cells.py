"""The cheap metrics of one process: plain numbers, and how they become Prometheus samples.

An observation costs about 0.2 µs. A cell is not locked: whoever shares one among threads locks.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from prometheus_client import Metric as Family
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector

from config.metrics import PREFIX, Metrics


class CounterCell:
    """A number that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1) -> None:
        """Add to it."""
        self.value += amount


class GaugeCell:
    """A number that is set."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def set(self, value: float) -> None:
        """Set it."""
        self.value = value


class HistogramCell:
    """How many values fell at or below each bound, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Add a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """The cumulative counts by upper bound, as Prometheus wants them."""
        bounds = [str(float(bound)) for bound in self.bounds]
        return list(zip([*bounds, "+Inf"], map(float, accumulate(self.counts)), strict=True))


Cell = CounterCell | GaugeCell | HistogramCell
Cells = Mapping[str, Mapping[tuple[str, ...], Cell]]


class CellCollector(Collector):
    """Shows every declared metric; one that this process never touched has no samples."""

    def __init__(self, declared: Metrics, cells: Cells) -> None:
        self._declared = declared
        self._cells = cells

    def collect(self) -> Iterable[Family]:
        """All families."""
        for name in self._declared.metrics:
            yield self._family(name)

    def _family(self, name: str) -> Family:
        metric, exposed = self._declared.metrics[name], PREFIX + name
        cells = list(self._cells.get(name, {}).items())
        if metric.type == "counter":
            counter = CounterMetricFamily(exposed, metric.help, labels=metric.labels)
            for labels, value in _values(cells):
                counter.add_metric(labels, value)
            return counter
        if metric.type == "gauge":
            gauge = GaugeMetricFamily(exposed, metric.help, labels=metric.labels)
            for labels, value in _values(cells):
                gauge.add_metric(labels, value)
            return gauge
        histogram = HistogramMetricFamily(exposed, metric.help, labels=metric.labels)
        for bound, cell in cells:
            if isinstance(cell, HistogramCell):
                histogram.add_metric(list(bound), cell.buckets(), cell.total)
        return histogram


def _values(cells: Iterable[tuple[tuple[str, ...], Cell]]) -> Iterator[tuple[list[str], float]]:
    for labels, cell in cells:
        if not isinstance(cell, HistogramCell):
            yield list(labels), cell.value
