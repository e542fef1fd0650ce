"""The latency budgets of routes and their segments, as `budgets.toml` declares them."""

from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from config import tables
from config.tables import require

Milliseconds = Annotated[int, Meta(gt=0)]


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How long one route may take, and each segment of it."""

    total_ms: Milliseconds
    segments: dict[str, Milliseconds]

    def seconds(self, segment: str) -> float:
        """A segment's budget in seconds; raises KeyError for one that is not declared."""
        return self.segments[segment] / 1000


class Budgets(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every route's budget by name."""

    routes: dict[str, Budget]


def load(directory: Path | None = None) -> Budgets:
    """The checked table; raises ConfigError."""
    table = tables.read("budgets", Budgets, *([directory] if directory else []))
    for route, budget in table.routes.items():
        for segment, milliseconds in budget.segments.items():
            require(
                milliseconds <= budget.total_ms,
                f"budgets.toml: routes.{route}.segments.{segment}",
                f"{milliseconds} ms is more than the route's total of {budget.total_ms} ms",
            )
    return table


@cache
def declared() -> Budgets:
    """The table that the project ships."""
    return load()
