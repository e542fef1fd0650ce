"""What a customer turns out to prefer: the languages and genres asked for, the newest first.

Each is known by when it was asked for last, so that duplicates and reordering change nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from domain.events import Locale

MAX_PREFERENCES = 16
"""How many things of a customer are remembered."""

_LOCALES: dict[str, Locale] = {"locale:ja": "ja", "locale:en": "en"}
_GENRE = "genre:"


@dataclass(frozen=True, slots=True)
class Preferences:
    """A customer's, each the newest first."""

    locales: tuple[Locale, ...] = ()
    genres: tuple[str, ...] = ()


def name_of_locale(locale: Locale) -> str:
    """What a language is remembered as."""
    return f"locale:{locale}"


def name_of_genre(slug: str) -> str:
    """What a genre is remembered as."""
    return _GENRE + slug


def preferences(names: Iterable[str]) -> Preferences:
    """What these names, the newest first, say; names of a later release are left out."""
    listed = list(names)
    slugs = (name.removeprefix(_GENRE) for name in listed if name.startswith(_GENRE))
    return Preferences(
        tuple(_LOCALES[name] for name in listed if name in _LOCALES), tuple(filter(None, slugs))
    )
