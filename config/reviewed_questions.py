"""The questions that similar ones may share an answer with: `reviewed_questions.toml`."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from config import tables
from config.tables import require

Text = Annotated[str, Meta(min_length=1, max_length=200)]
Listed = Annotated[tuple[Text, ...], Meta(max_length=500)]


class ReviewedQuestions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file: questions by locale."""

    ja: Listed
    en: Listed

    def by_locale(self) -> Iterator[tuple[str, str]]:
        """Each question with its locale."""
        yield from (("ja", question) for question in self.ja)
        yield from (("en", question) for question in self.en)


def load(directory: Path | None = None) -> ReviewedQuestions:
    """The checked table; raises ConfigError."""
    where = [directory] if directory else []
    table = tables.read("reviewed_questions", ReviewedQuestions, *where)
    questions = [question for _, question in table.by_locale()]
    for question in questions:
        require(
            questions.count(question) == 1, "reviewed_questions.toml", f"{question!r} stands twice"
        )
    return table


@cache
def declared() -> ReviewedQuestions:
    """The table that the project ships."""
    return load()
