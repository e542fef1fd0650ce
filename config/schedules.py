"""The schedules of celery beat, as `schedules.toml` declares them."""

from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from config import answers, tables
from config.tables import require

MAX_DELAY_SECONDS = 900
"""The longest that SQS holds a message back."""


class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One entry: which job, how often, and over how many seconds it is spread.

    An entry that `refreshes` a kind of answer takes its period, jitter and argument from there.
    """

    job: str
    every_seconds: Annotated[int, Meta(ge=1)] | None = None
    jitter_seconds: Annotated[int, Meta(ge=0, le=MAX_DELAY_SECONDS)] = 0
    refreshes: str | None = None
    arguments: dict[str, str | int | float | bool] = {}

    @property
    def period_seconds(self) -> int:
        """How often the job is sent."""
        return self.every_seconds or 1


class Schedules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every entry by name, each with its period."""

    schedules: dict[str, Schedule]


def load(directory: Path | None = None) -> Schedules:
    """The checked table; raises ConfigError."""
    where = [directory] if directory else []
    table = tables.read("schedules", Schedules, *where)
    kinds = answers.load(*where).kinds.rows()
    return Schedules({name: _whole(name, row, kinds) for name, row in table.schedules.items()})


@cache
def declared() -> Schedules:
    """The table that the project ships."""
    return load()


def _whole(name: str, row: Schedule, kinds: dict[str, answers.KindRow]) -> Schedule:
    where = f"schedules.toml: schedules.{name}"
    require(
        (row.refreshes is None) == (row.every_seconds is not None),
        where,
        "give either refreshes or every_seconds",
    )
    if row.refreshes is None:
        require(
            row.jitter_seconds < row.period_seconds,
            where,
            "jitter_seconds must be below every_seconds",
        )
        return row
    require(row.refreshes in kinds, where, f"answers.toml has no kind {row.refreshes!r}")
    require(row.jitter_seconds == 0, where, "the jitter of a refresh is that of its kind")
    kind = kinds[row.refreshes]
    return msgspec.structs.replace(
        row,
        every_seconds=int(kind.refresh_seconds),
        jitter_seconds=kind.jitter_seconds,
        arguments={**row.arguments, "answer_kind": row.refreshes},
    )
