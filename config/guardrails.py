"""What an answer of the model must not be or say, as `guardrails.toml` declares it."""

import re
from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from config import tables
from config.tables import require

Text = Annotated[str, Meta(min_length=1)]
Note = Annotated[str, Meta(min_length=1, max_length=200)]
Host = Annotated[str, Meta(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")]
Ending = Annotated[str, Meta(pattern="^[a-z]{2,}$")]


class Notes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in a session in place of an answer that was taken back, by locale."""

    ja: Note
    en: Note

    def of(self, locale: str) -> str:
        """The note in this locale."""
        return self.ja if locale == "ja" else self.en


class GuardrailsTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    max_chars: Annotated[int, Meta(ge=1, le=9_000)]
    hosts: tuple[Host, ...]
    endings: Annotated[tuple[Ending, ...], Meta(min_length=1)]
    markers: tuple[Text, ...]
    banned: tuple[Text, ...]
    other_names: tuple[Text, ...]
    notes: Notes

    def bare_host(self) -> re.Pattern[str]:
        """Finds a host that no scheme stands before."""
        endings = "|".join(self.endings)
        return re.compile(
            rf"(?<![a-z0-9@.。/-])((?:[a-z0-9-]{{1,63}}[.。]){{1,4}}(?:{endings}))(?![a-z0-9-])"
        )

    def banned_patterns(self) -> tuple[re.Pattern[str], ...]:
        """The patterns, compiled."""
        return tuple(map(re.compile, self.banned))


def load(directory: Path | None = None) -> GuardrailsTable:
    """The checked table; raises ConfigError."""
    table = tables.read("guardrails", GuardrailsTable, *([directory] if directory else []))
    for number, pattern in enumerate(table.banned):
        where = f"guardrails.toml: banned[{number}]"
        try:
            compiled = re.compile(pattern)
        except re.error as error:
            require(False, where, f"no pattern: {error}")
        else:
            require(compiled.search("") is None, where, "matches everything")
    return table


@cache
def declared() -> GuardrailsTable:
    """The table that the project ships."""
    return load()
