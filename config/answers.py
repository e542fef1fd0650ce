"""How each kind of answer is kept fresh, and how its questions are worded: `answers.toml`."""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from config import tables, well_known, wordings
from config.tables import require
from config.wordings import Patterns

Locale = Literal["ja", "en"]
Seconds = Annotated[int, Meta(ge=1, le=86_400 * 30)]
Weight = Annotated[float, Meta(ge=0, le=1000)]


class KindRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How answers of one kind are kept.

    An answer is fresh for `ttl_seconds`, kept for `hard_ttl_periods` times that, and made anew
    once `refresh_ahead` of the time to live has passed, give or take `jitter_seconds`.
    """

    ttl_seconds: Seconds
    hard_ttl_periods: Annotated[int, Meta(ge=10, le=10_000)]
    refresh_ahead: Annotated[float, Meta(gt=0, lt=1)]
    jitter_seconds: Annotated[int, Meta(ge=0)]
    source: Literal["interactions", "catalogue", "model", "sessions"]
    top_n: Annotated[int, Meta(ge=1, le=1000)]
    locales: tuple[Locale, ...]

    @property
    def hard_ttl_seconds(self) -> int:
        """How long an answer is kept when nothing refreshes it."""
        return self.ttl_seconds * self.hard_ttl_periods

    @property
    def refresh_seconds(self) -> float:
        """The age at which an answer is made anew, before jitter."""
        return self.ttl_seconds * self.refresh_ahead


class Kinds(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One row per kind of stored thing."""

    trending: KindRow
    new_releases: KindRow
    genre: KindRow
    title: KindRow
    recommendation: KindRow
    response: KindRow
    session: KindRow
    fallback: KindRow

    def rows(self) -> dict[str, KindRow]:
        """Each row by the name of its kind."""
        return {name: getattr(self, name) for name in self.__struct_fields__}


class TrendWeights(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one event adds to the trending score of its title."""

    view: Weight
    lookup: Weight
    read: Weight
    cart: Weight
    purchase: Weight
    rating_per_star: Weight


class Trending(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How interactions become a ranking."""

    weights: TrendWeights
    half_life_hours: Annotated[float, Meta(gt=0, le=24 * 365)]
    window_days: Annotated[int, Meta(ge=1, le=365)]
    bucket_minutes: Annotated[int, Meta(ge=1, le=24 * 60)]
    min_visitors: Annotated[int, Meta(ge=1, le=1_000_000)]


class Answers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    kinds: Kinds
    trending: Trending
    patterns: Patterns


def load(directory: Path | None = None) -> Answers:
    """The checked table; raises ConfigError."""
    table = tables.read("answers", Answers, *([directory] if directory else []))
    for name, row in table.kinds.rows().items():
        _check_kind(name, row)
    _check_trending(table.trending)
    for where, why in wordings.problems(table.patterns):
        require(False, f"answers.toml: {where}", why)
    return _with_well_known_names(table)


@cache
def declared() -> Answers:
    """The table that the project ships."""
    return load()


def _with_well_known_names(table: Answers) -> Answers:
    title = table.patterns.title
    groups = (*title.synonyms, *well_known.names())
    title = msgspec.structs.replace(title, synonyms=groups)
    patterns = msgspec.structs.replace(table.patterns, title=title)
    return msgspec.structs.replace(table, patterns=patterns)


def _check_kind(name: str, row: KindRow) -> None:
    where = f"answers.toml: kinds.{name}"
    require(bool(row.locales), f"{where}.locales", "names no locale")
    require(len(set(row.locales)) == len(row.locales), f"{where}.locales", "names one twice")
    require(
        row.refresh_seconds + row.jitter_seconds < row.ttl_seconds,
        f"{where}.jitter_seconds",
        f"the refresh at {row.refresh_seconds:g} s and {row.jitter_seconds} s of jitter reach "
        f"the soft expiry at {row.ttl_seconds} s",
    )


def _check_trending(trending: Trending) -> None:
    require(
        trending.bucket_minutes <= trending.half_life_hours * 60,
        "answers.toml: trending.bucket_minutes",
        "a bucket is longer than the half-life",
    )
    require(
        trending.half_life_hours <= trending.window_days * 24,
        "answers.toml: trending.half_life_hours",
        "the half-life is longer than the window",
    )
