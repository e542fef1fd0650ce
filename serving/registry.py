"""Where the request path's metrics come from; each is bound once, so that a request looks no name
up."""

from collections.abc import Callable
from functools import cache
from typing import Protocol


class Histogram(Protocol):
    """A histogram whose labels are bound."""

    def observe(self, value: float) -> None:
        """Add a value."""
        ...


class Counter(Protocol):
    """A counter whose labels are bound."""

    def inc(self, amount: float = 1) -> None:
        """Add to it."""
        ...


class Gauge(Protocol):
    """A gauge whose labels are bound."""

    def set(self, value: float) -> None:
        """Set it."""
        ...


class Registry(Protocol):
    """Where bound metrics come from; a name that is not declared raises."""

    def counter(self, name: str, **labels: str) -> Counter:
        """A counter."""
        ...

    def histogram(self, name: str, **labels: str) -> Histogram:
        """A histogram."""
        ...

    def gauge(self, name: str, **labels: str) -> Gauge:
        """A gauge."""
        ...


def counters(registry: Registry, name: str, *labels: str) -> Callable[..., Counter]:
    """The counter of this name for the values of these labels, in their order."""

    @cache
    def bound(*values: str) -> Counter:
        return registry.counter(name, **dict(zip(labels, values, strict=True)))

    return bound


def histograms(registry: Registry, name: str, *labels: str) -> Callable[..., Histogram]:
    """The histogram of this name for the values of these labels, in their order."""

    @cache
    def bound(*values: str) -> Histogram:
        return registry.histogram(name, **dict(zip(labels, values, strict=True)))

    return bound
