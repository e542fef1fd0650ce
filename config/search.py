"""How titles are looked for, as `search.toml` declares it."""

from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from config import answers, tables, wordings

Words = tuple[Annotated[str, Meta(min_length=1)], ...]


class Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Words of one use: Latin ones are whole words, Japanese ones stand anywhere."""

    latin: Words
    japanese: Words


class SearchTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole table."""

    limit: Annotated[int, Meta(ge=1, le=20)]
    min_similarity: Annotated[float, Meta(ge=0, le=1)]
    stop_words: Said
    going_on: Said
    asking: Said
    genre_words: dict[str, Words]
    moods: dict[str, Words]


def load(directory: Path | None = None) -> SearchTable:
    """The checked table; raises ConfigError."""
    return tables.read("search", SearchTable, *([directory] if directory else []))


@cache
def declared() -> SearchTable:
    """The table that the project ships."""
    return load()


def genre_words(slug: str) -> tuple[str, ...]:
    """The words by which the titles of a genre are found: those of the wordings, and further."""
    named = wordings.genre_words(answers.declared().patterns, slug)
    return (*named, *declared().genre_words.get(slug, ()))
