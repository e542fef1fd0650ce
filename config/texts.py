"""The sentences of precomputed answers, as `texts.toml` words them in each locale."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from string import Formatter

import msgspec

from config import tables
from config.tables import require

_TITLES = frozenset({"titles"})
_NONE: frozenset[str] = frozenset()
_TREND = frozenset({"titles", "days"})
_COUNTED = frozenset({"genre", "count", "titles"})
_DATE = frozenset({"year", "month", "month_name", "day"})

PLACEHOLDERS: Mapping[str, frozenset[str]] = {
    "listed": frozenset({"name"}),
    "listed_dated": frozenset({"name", "date"}),
    "listed_ranked": frozenset({"name", "rank"}),
    "between": _NONE,
    "and_more": frozenset({"count", "more"}),
    "date_day": _DATE,
    "date_month": _DATE - {"day"},
    "date_year": frozenset({"year"}),
    "trending": _TREND,
    "trending_filled": _TREND,
    "trending_filled_plain": _TREND,
    "trending_cold": _TREND,
    "trending_cold_plain": _TREND,
    "trending_none": _TREND,
    "new_releases": frozenset({"today", "titles"}),
    "new_releases_none": _NONE,
    "genre": _COUNTED,
    "genre_plain": _COUNTED,
    "recommendation": _TITLES,
    "recommendation_filled": _TITLES,
    "recommendation_filled_plain": _TITLES,
    "recommendation_popular": _TITLES,
    "recommendation_popular_plain": _TITLES,
    "recommendation_none": _NONE,
    "found": _TITLES,
    "trending_instead": _TITLES,
    "fallback": _TITLES,
    "fallback_plain": _TITLES,
    "fallback_none": _NONE,
    "title": frozenset({"name"}),
    "title_by": frozenset({"name", "authors"}),
    "title_other_name": frozenset({"name"}),
    "title_began": frozenset({"date"}),
    "title_finished": _NONE,
    "title_finished_volumes": frozenset({"count"}),
    "title_ongoing": _NONE,
    "title_hiatus": _NONE,
    "title_discontinued": _NONE,
    "title_genres": frozenset({"names"}),
}
"""Every sentence there is, and what it may say of an answer."""


class Texts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The sentences by name, in each locale."""

    ja: dict[str, str]
    en: dict[str, str]

    def say(self, locale: str, sentence: str, **values: str | int) -> str:
        """The sentence in this locale; raises KeyError for one that is not declared."""
        worded = self.ja if locale == "ja" else self.en
        return worded[sentence].format(**values)


def load(directory: Path | None = None) -> Texts:
    """The checked table; raises ConfigError."""
    table = tables.read("texts", Texts, *([directory] if directory else []))
    for locale, worded in (("ja", table.ja), ("en", table.en)):
        for name in sorted(PLACEHOLDERS.keys() ^ worded.keys()):
            why = "is missing" if name in PLACEHOLDERS else "is not a sentence that is used"
            require(False, f"texts.toml: {locale}.{name}", why)
        for name, sentence in worded.items():
            _check(f"texts.toml: {locale}.{name}", sentence, PLACEHOLDERS[name])
    return table


@cache
def declared() -> Texts:
    """The table that the project ships."""
    return load()


def _check(where: str, sentence: str, allowed: frozenset[str]) -> None:
    try:
        parts = list(Formatter().parse(sentence))
    except ValueError as error:
        require(False, where, f"is not a template: {error}")
        return
    for _, name, spec, conversion in parts:
        require(name is None or name in allowed, where, f"{{{name}}} is nothing it can say")
        require(not spec and not conversion, where, "a placeholder is only a name in braces")
