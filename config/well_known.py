"""The names of well-known titles, from the bundled sample, for whatever catalogue is used.

A feed often lacks the reading or the short form that customers type; these groups of names fill
that in. Knows nothing of the sample but its names.
"""

import json
from pathlib import Path

from config.errors import ConfigError

_SAMPLE = Path(__file__).with_name("sample_catalogue.jsonl")
_FIELDS = ("title_ja", "title_romaji", "title", "title_kana")


def names(path: Path = _SAMPLE) -> tuple[tuple[str, ...], ...]:
    """One group of names per title: the official ones first, then the aliases."""
    try:
        with path.open(encoding="utf-8") as lines:
            return tuple(_names(json.loads(line)) for line in lines)
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigError(f"{path.name}: cannot be read: {error}") from error


def _names(row: dict[str, object]) -> tuple[str, ...]:
    official = [row.get(field) for field in _FIELDS]
    aliases = row.get("aliases")
    found = (*official, *(aliases if isinstance(aliases, list) else ()))
    return tuple(dict.fromkeys(name for name in found if isinstance(name, str)))
