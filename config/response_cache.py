"""How the model's answers are cached, as `response_cache.toml` declares it."""

import re
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from config import tables
from config.tables import require

Seconds = Annotated[int, Meta(ge=1, le=86_400)]
Milliseconds = Annotated[int, Meta(ge=1, le=10_000)]
_CARRIES_MEANING = re.compile(
    r"\d|n't$|^(?:not?|none|never|neither|nor|without|except|un|only|more|less|most|least|from|before"
    r"|after|over|under)$|ない|ません|なか|ず$|ぬ$|以外|だけ|より|から|まで|^[がをにへとも]$"
)
"""Polarity, number, direction and comparison: a match must not depend on leaving one out."""

Share = Annotated[float, Meta(gt=0, le=1)]


class OwnWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The words by which somebody asks about themselves."""

    ja: tuple[str, ...]
    en: tuple[str, ...]


class Similarity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a similar question of the reviewed set gives its answer to another one."""

    enabled: bool
    threshold: Share
    dimensions: Annotated[int, Meta(ge=256, le=1024)]
    shadow_share: Share
    agreement: Share
    max_false_hit_rate: Share
    closed_hours: Annotated[int, Meta(ge=1, le=24 * 30)]
    free_en: tuple[str, ...]
    free_ja: tuple[str, ...]
    same_en: dict[str, str]


class ResponseCacheTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """The whole file."""

    negative_ttl_seconds: Seconds
    short_seconds: Seconds
    compress_bytes: Annotated[int, Meta(ge=64)]
    xfetch_beta: Annotated[float, Meta(gt=0, le=10)]
    lease_seconds: Seconds
    failing_seconds: Seconds
    poll_min_ms: Milliseconds
    poll_max_ms: Milliseconds
    tombstone_days: Annotated[int, Meta(ge=1, le=365)]
    own_words: OwnWords
    similarity: Similarity

    @cached_property
    def own_words_pattern(self) -> re.Pattern[str]:
        """Finds one of the words in a normalised question."""
        whole = "|".join(map(re.escape, sorted(self.own_words.en, key=len, reverse=True)))
        parts = "|".join(map(re.escape, self.own_words.ja))
        return re.compile(rf"(?<![a-z0-9'])(?:{whole})(?![a-z0-9'])|{parts}")


def load(directory: Path | None = None) -> ResponseCacheTable:
    """The checked table; raises ConfigError."""
    table = tables.read("response_cache", ResponseCacheTable, *([directory] if directory else []))
    require(
        table.poll_min_ms <= table.poll_max_ms,
        "response_cache.toml: poll_min_ms",
        "is above poll_max_ms",
    )
    require(
        table.failing_seconds <= table.lease_seconds,
        "response_cache.toml: failing_seconds",
        "is longer than a lease",
    )
    for locale, words in (("ja", table.own_words.ja), ("en", table.own_words.en)):
        where = f"response_cache.toml: own_words.{locale}"
        require(bool(words) and all(words), where, "names no word, or an empty one")
        require(all(word == word.casefold() for word in words), where, "must be in lower case")
    _check_free(table.similarity)
    return table


def _check_free(similarity: Similarity) -> None:
    for locale, words in (("en", similarity.free_en), ("ja", similarity.free_ja)):
        for word in words:
            where = f"response_cache.toml: similarity.free_{locale}"
            require(_CARRIES_MEANING.search(word) is None, where, f"{word!r} carries meaning")


@cache
def declared() -> ResponseCacheTable:
    """The table that the project ships."""
    return load()
