"""The schedules of celery beat, as `schedules.toml` declares them."""

from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from config import tables
from config.tables import require

MAX_DELAY_SECONDS = 900
"""The longest that SQS holds a message back."""


class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One entry: which job, how often, and over how many seconds it is spread."""

    job: str
    every_seconds: Annotated[int, Meta(ge=1)]
    jitter_seconds: Annotated[int, Meta(ge=0, le=MAX_DELAY_SECONDS)]
    arguments: dict[str, str | int | float | bool] = {}


class Schedules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every entry by name."""

    schedules: dict[str, Schedule]


def load(directory: Path | None = None) -> Schedules:
    """The checked table; raises ConfigError."""
    table = tables.read("schedules", Schedules, *([directory] if directory else []))
    for name, schedule in table.schedules.items():
        require(
            schedule.jitter_seconds < schedule.every_seconds,
            f"schedules.toml: schedules.{name}",
            "jitter_seconds must be below every_seconds",
        )
    return table


@cache
def declared() -> Schedules:
    """The table that the project ships."""
    return load()
