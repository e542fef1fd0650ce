"""The latency budgets of routes and their segments, as `budgets.toml` declares them."""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from config import tables
from config.tables import require

Milliseconds = Annotated[int, Meta(gt=0)]
Rung = Literal["fresh", "stale", "previous", "found", "trending", "generic", "canned"]


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How long one route may take, and each segment of it.

    `ladder` is what answers, the best first, where the time or a dependency fails.
    """

    total_ms: Milliseconds
    segments: dict[str, Milliseconds]
    ladder: tuple[Rung, ...] = ()

    def seconds(self, segment: str) -> float:
        """A segment's budget in seconds; raises KeyError for one that is not declared."""
        return self.segments[segment] / 1000


class Budgets(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every route's budget by name."""

    routes: dict[str, Budget]


def load(directory: Path | None = None) -> Budgets:
    """The checked table; raises ConfigError."""
    return check(tables.read("budgets", Budgets, *([directory] if directory else [])))


def check(table: Budgets) -> Budgets:
    """The same table; raises ConfigError for one that contradicts itself."""
    for route, budget in table.routes.items():
        for segment, milliseconds in budget.segments.items():
            require(
                milliseconds <= budget.total_ms,
                f"budgets.toml: routes.{route}.segments.{segment}",
                f"{milliseconds} ms is more than the route's total of {budget.total_ms} ms",
            )
        _check_ladder(route, budget.ladder)
    return table


def _check_ladder(route: str, ladder: tuple[Rung, ...]) -> None:
    where = f"budgets.toml: routes.{route}.ladder"
    require(len(set(ladder)) == len(ladder), where, "a rung stands in it twice")
    require(not ladder or ladder[-1] == "canned", where, "only a canned answer can never fail")


@cache
def declared() -> Budgets:
    """The table that the project ships."""
    return load()
