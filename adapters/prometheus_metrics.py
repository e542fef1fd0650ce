"""The declared metrics of this process, and their Prometheus exposition.

Only what `config/metrics.toml` declares can be measured. Where PROMETHEUS_MULTIPROC_DIR was set
before the process started, it and its forked children write one file each there and the parent
shows the sum; otherwise the numbers are plain ones of this process (`adapters/metric_cells.py`).
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from prometheus_client import (
    CollectorRegistry,
    ProcessCollector,
    generate_latest,
)
from prometheus_client import Counter as SharedCounter
from prometheus_client import Gauge as SharedGauge
from prometheus_client import Histogram as SharedHistogram
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from adapters.metric_cells import Cell, CellCollector, CounterCell, GaugeCell, HistogramCell
from adapters.metrics_http import MetricsServer
from config.metrics import PREFIX, Metric
from config.metrics import Metrics as Declared
from config.metrics import declared as shipped

_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

# Held around every change of a shared number, and across a fork: a child must not inherit a lock
# that some other thread of its parent had taken.
_lock = threading.RLock()
os.register_at_fork(
    before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
)


class UndeclaredMetric(Exception):  # noqa: N818 - read as what it is
    """A metric that `metrics.toml` doesn't declare, or not of this type or with these labels."""


class Counter(Protocol):
    """A counter whose labels are bound."""

    def inc(self, amount: float = 1) -> None: ...


class Gauge(Protocol):
    """A gauge whose labels are bound."""

    def set(self, value: float) -> None: ...


class Histogram(Protocol):
    """A histogram whose labels are bound."""

    def observe(self, value: float) -> None: ...


class _Backend(Protocol):
    def counter(self, name: str, labels: tuple[str, ...]) -> Counter: ...
    def gauge(self, name: str, labels: tuple[str, ...]) -> Gauge: ...
    def histogram(self, name: str, labels: tuple[str, ...]) -> Histogram: ...


class Metrics:
    """Implements `domain.ports.TaskMetrics`, which any thread may call.

    `counter`, `gauge` and `histogram` return bound metrics for the request path: cheaper, and in a
    process of its own for one thread only.
    """

    def __init__(self, declared: Declared | None = None) -> None:
        self._declared = declared or shipped()
        self._before_scrape: list[Callable[[], None]] = []
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._registry)
        directory = os.environ.get(_VARIABLE)
        self._directory = Path(directory) if directory else None
        self._backend: _Backend = (
            _Shared(self._declared, self._registry, self._directory)
            if self._directory
            else _OwnCells(self._declared, self._registry)
        )

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        with _lock:
            self.counter(name, **labels).inc(amount)

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add a value to a histogram."""
        with _lock:
            self.histogram(name, **labels).observe(value)

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        with _lock:
            self.gauge(name, **labels).set(value)

    def counter(self, name: str, **labels: str) -> Counter:
        """A counter with these labels, for the request path."""
        return self._backend.counter(name, self._labels(name, "counter", labels))

    def gauge(self, name: str, **labels: str) -> Gauge:
        """A gauge with these labels, for the request path."""
        return self._backend.gauge(name, self._labels(name, "gauge", labels))

    def histogram(self, name: str, **labels: str) -> Histogram:
        """A histogram with these labels, for the request path."""
        return self._backend.histogram(name, self._labels(name, "histogram", labels))

    def before_scrape(self, refresh: Callable[[], None]) -> None:
        """Have `refresh` set gauges whenever somebody reads the metrics; it must be quick."""
        self._before_scrape.append(refresh)

    def render(self) -> bytes:
        """The exposition in Prometheus' text format."""
        for refresh in self._before_scrape:
            refresh()
        with _lock:
            return generate_latest(self._registry)

    def serve_http(
        self, host: str, port: int, healthy: Callable[[], bool] = lambda: True
    ) -> MetricsServer:
        """Serve `/metrics` and `/healthz` from a thread; raises OSError where it cannot listen."""
        return MetricsServer(host, port, self.render, healthy)

    def bury(self, pid: int) -> None:
        """Note that a forked child is gone: what it counted stays, its live gauges do not."""
        if self._directory:
            mark_process_dead(pid, str(self._directory))  # type: ignore[no-untyped-call]

    def _labels(self, name: str, kind: str, labels: dict[str, str]) -> tuple[str, ...]:
        metric = self._declared.metrics.get(name)
        if metric is None or metric.type != kind or labels.keys() != set(metric.labels):
            raise UndeclaredMetric(f"no {kind} {name} with the labels {sorted(labels)} is declared")
        return tuple([labels[label] for label in metric.labels])


CellT = TypeVar("CellT", CounterCell, GaugeCell, HistogramCell)


class _OwnCells:
    """The metrics of a process that shares them with no other."""

    def __init__(self, declared: Declared, registry: CollectorRegistry) -> None:
        self._declared = declared
        self._cells: dict[str, dict[tuple[str, ...], Cell]] = {}
        registry.register(CellCollector(declared, self._cells))

    def counter(self, name: str, labels: tuple[str, ...]) -> CounterCell:
        return self._cell(name, labels, CounterCell, CounterCell)

    def gauge(self, name: str, labels: tuple[str, ...]) -> GaugeCell:
        return self._cell(name, labels, GaugeCell, GaugeCell)

    def histogram(self, name: str, labels: tuple[str, ...]) -> HistogramCell:
        def make() -> HistogramCell:
            return HistogramCell(self._declared.bounds(name))

        return self._cell(name, labels, HistogramCell, make)

    def _cell(
        self,
        name: str,
        labels: tuple[str, ...],
        shape: type[CellT],
        make: Callable[[], CellT],
    ) -> CellT:
        with _lock:
            cells = self._cells.setdefault(name, {})
            cell = cells.get(labels)
            if not isinstance(cell, shape):
                cell = cells[labels] = make()
            return cell


class _Shared:
    """The metrics of a process and its forked children, in files that the parent adds up.

    A gauge shows what any of them set last, which stays true after its process is gone.
    """

    def __init__(self, declared: Declared, registry: CollectorRegistry, directory: Path) -> None:
        self._declared = declared
        self._counters: dict[str, SharedCounter] = {}
        self._gauges: dict[str, SharedGauge] = {}
        self._histograms: dict[str, SharedHistogram] = {}
        MultiProcessCollector(registry, str(directory))  # type: ignore[no-untyped-call]

    def counter(self, name: str, labels: tuple[str, ...]) -> Counter:
        with _lock:
            if name not in self._counters:
                row = self._row(name)
                self._counters[name] = SharedCounter(
                    PREFIX + name, row.help, row.labels, registry=None
                )
            return _LockedCounter(_bound(self._counters[name], labels))

    def gauge(self, name: str, labels: tuple[str, ...]) -> Gauge:
        with _lock:
            if name not in self._gauges:
                row = self._row(name)
                self._gauges[name] = SharedGauge(
                    PREFIX + name,
                    row.help,
                    row.labels,
                    registry=None,
                    multiprocess_mode="mostrecent",
                )
            return _LockedGauge(_bound(self._gauges[name], labels))

    def histogram(self, name: str, labels: tuple[str, ...]) -> Histogram:
        with _lock:
            if name not in self._histograms:
                row, bounds = self._row(name), self._declared.bounds(name)
                self._histograms[name] = SharedHistogram(
                    PREFIX + name, row.help, row.labels, buckets=bounds, registry=None
                )
            return _LockedHistogram(_bound(self._histograms[name], labels))

    def _row(self, name: str) -> Metric:
        return self._declared.metrics[name]


class _LockedCounter:
    def __init__(self, metric: SharedCounter) -> None:
        self._metric = metric

    def inc(self, amount: float = 1) -> None:
        with _lock:
            self._metric.inc(amount)


class _LockedGauge:
    def __init__(self, metric: SharedGauge) -> None:
        self._metric = metric

    def set(self, value: float) -> None:
        with _lock:
            self._metric.set(value)


class _LockedHistogram:
    def __init__(self, metric: SharedHistogram) -> None:
        self._metric = metric

    def observe(self, value: float) -> None:
        with _lock:
            self._metric.observe(value)


SharedT = TypeVar("SharedT", SharedCounter, SharedGauge, SharedHistogram)


def _bound(metric: SharedT, labels: tuple[str, ...]) -> SharedT:
    return metric.labels(*labels) if labels else metric
