"""The declared metrics, as `metrics.toml` lists them."""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from config import tables
from config.tables import require

PREFIX = "mangaassist_"

Port = Annotated[int, Meta(ge=1, le=65_535)]


class Metric(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One metric: its type, labels and, for a histogram, the name of its buckets."""

    type: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str
    buckets: str | None = None


class Ports(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where Prometheus scrapes the processes that are no group of workers."""

    relay: Port
    beat: Port


class Metrics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every metric by its name without the prefix, the named bucket bounds, and the ports."""

    metrics: dict[str, Metric]
    buckets: dict[str, tuple[float, ...]]
    ports: Ports

    def bounds(self, name: str) -> tuple[float, ...]:
        """The upper bounds of a histogram's buckets."""
        return self.buckets[self.metrics[name].buckets or ""]


def load(directory: Path | None = None) -> Metrics:
    """The checked table; raises ConfigError."""
    table = tables.read("metrics", Metrics, *([directory] if directory else []))
    for name, metric in table.metrics.items():
        where = f"metrics.toml: metrics.{name}"
        is_histogram = metric.type == "histogram"
        require(
            (metric.buckets in table.buckets) if is_histogram else metric.buckets is None,
            where,
            "a histogram names declared buckets, and nothing else does",
        )
        require(
            name.endswith("_total") == (metric.type == "counter"),
            where,
            "the names of counters, and only theirs, end in _total",
        )
    for name, bounds in table.buckets.items():
        require(list(bounds) == sorted(set(bounds)), f"metrics.toml: buckets.{name}", "must rise")
    return table


@cache
def declared() -> Metrics:
    """The table that the project ships."""
    return load()
