"""The titles that the store knows, and which of them may stand in which list.

Immutable: a new catalogue is a new object. An adult title (marked so by its source, or of an
adult genre) can be asked for by name, but never stands in a list: `by_popularity`, `of_genre`,
`newest` and the counts of `genres` leave it out.
"""

import calendar
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from domain.errors import Permanent
from domain.genres import ADULT_GENRES, GenreName, genre_name, names_in, slug_of

MIN_BROWSABLE = 5
"""A genre or demographic with fewer listed titles gets no page of its own."""

_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")
_FIRST_YEAR, _LAST_YEAR = 1800, 2200


@dataclass(frozen=True, slots=True)
class RowError:
    """A row of a file that was left out: its line (from 1) and why."""

    line: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


class CatalogueRejected(Permanent):
    """A catalogue file as a whole cannot be used.

    `bad` is how many bad rows there were so far, `errors` are the first of them.
    """

    def __init__(self, reason: str, errors: Iterable[RowError] = (), bad: int = 0) -> None:
        self.errors = tuple(errors)
        self.bad = bad
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Title:
    """One work. `title` is its English name, else the romaji, else the Japanese one.

    `published_from` is "YYYY", "YYYY-MM" or "YYYY-MM-DD"; `popularity` is a count whose unit is
    the source's: larger is more popular, None is unknown.
    """

    id: str
    title: str
    title_ja: str | None = None
    title_romaji: str | None = None
    title_kana: str | None = None
    aliases: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    authors_ja: tuple[str, ...] = ()
    genres: tuple[str, ...] = ()
    demographic: tuple[str, ...] = ()
    published_from: str | None = None
    status: str | None = None
    volumes: int | None = None
    popularity: int | None = None
    score: float | None = None
    adult: bool = False

    def __post_init__(self) -> None:
        if self.published_from is not None:
            published_between(self.published_from)

    @property
    def listable(self) -> bool:
        """Whether it may be recommended or stand in a list."""
        return not self.adult and ADULT_GENRES.isdisjoint(map(slug_of, self.genres))

    def name(self, locale: str) -> str:
        """The name to show in this locale."""
        return (self.title_ja or self.title) if locale == "ja" else self.title

    def names(self) -> tuple[str, ...]:
        """Every official name, without aliases and doubles, the shown one first."""
        named = (self.title, self.title_ja, self.title_romaji, self.title_kana)
        return tuple(dict.fromkeys(name for name in named if name))


@dataclass(frozen=True, slots=True)
class GenreCount:
    """A genre or demographic and how many listed titles it has."""

    name: GenreName
    titles: int

    @property
    def slug(self) -> str:
        """The ASCII slug of the genre."""
        return self.name.slug


def published_between(published: str) -> tuple[date, date]:
    """The first and last day that "YYYY", "YYYY-MM" or "YYYY-MM-DD" can mean; else ValueError."""
    match = _DATE.fullmatch(published)
    if match is None:
        raise ValueError(f"date {published[:40]!r} is not YYYY, YYYY-MM or YYYY-MM-DD")
    year, month, day = (int(part) if part else None for part in match.groups())
    if year is None or not _FIRST_YEAR <= year <= _LAST_YEAR:
        raise ValueError(f"year {year} is outside {_FIRST_YEAR} to {_LAST_YEAR}")
    try:
        first = date(year, month or 1, day or 1)
    except ValueError as error:
        raise ValueError(f"date {published!r} does not exist") from error
    if day is not None:
        return first, first
    last_month = month or 12
    return first, date(year, last_month, calendar.monthrange(year, last_month)[1])


class Catalogue:
    """All titles, by id, by popularity, by genre and by date. Build once, share freely.

    `version` is that of the snapshot it was loaded from; empty where it is from no store.
    """

    __slots__ = (
        "_by_slug", "_demographics", "_genres", "_newest", "by_popularity", "titles", "version",
    )  # fmt: skip

    titles: Mapping[str, Title]
    by_popularity: tuple[Title, ...]
    """Every title that may stand in a list, most popular first; ties by id."""

    def __init__(self, titles: Iterable[Title], version: str = "") -> None:
        self.version = version
        by_id: dict[str, Title] = {}
        for title in titles:
            if title.id in by_id:
                raise ValueError(f"id {title.id!r} is used twice")
            by_id[title.id] = title
        self.titles = MappingProxyType(by_id)
        listed = [title for title in by_id.values() if title.listable]
        self.by_popularity = tuple(sorted(listed, key=_by_popularity))
        self._by_slug: dict[str, tuple[Title, ...]] = {}
        self._genres = self._index(lambda title: title.genres)
        self._demographics = self._index(lambda title: title.demographic)
        dated = [(published_between(t.published_from), t) for t in listed if t.published_from]
        self._newest = sorted(
            dated, key=lambda row: (-row[0][0].toordinal(), *_by_popularity(row[1]))
        )

    def __len__(self) -> int:
        return len(self.titles)

    def get(self, title_id: str) -> Title | None:
        """The title of this id."""
        return self.titles.get(title_id)

    def genres(self) -> tuple[GenreCount, ...]:
        """The genres that occur, the largest first."""
        return self._genres

    def demographics(self) -> tuple[GenreCount, ...]:
        """The demographics that occur, the largest first."""
        return self._demographics

    def browsable(self) -> tuple[GenreCount, ...]:
        """The genres and demographics that are large enough for a page of their own."""
        both = (*self._demographics, *self._genres)
        return tuple(count for count in both if count.titles >= MIN_BROWSABLE)

    def of_genre(self, slug: str) -> tuple[Title, ...]:
        """The listed titles of a genre or demographic, most popular first."""
        return self._by_slug.get(slug, ())

    def newest(self, today: date, n: int) -> tuple[Title, ...]:
        """The n titles published last, of those certain to be out by `today`.

        A date without day or month counts as out when its last possible day has passed, and is
        sorted by its first, so that a vague date never overtakes an exact one.
        """
        found: list[Title] = []
        for (_first, last), title in self._newest:
            if len(found) >= n:
                break
            if last <= today:
                found.append(title)
        return tuple(found)

    def _index(self, labels: Callable[[Title], tuple[str, ...]]) -> tuple[GenreCount, ...]:
        found: dict[str, list[Title]] = {}
        names: dict[str, GenreName] = {}
        for title in self.by_popularity:
            for slug, label in {slug_of(label): label for label in labels(title)}.items():
                found.setdefault(slug, []).append(title)
                names.setdefault(slug, genre_name(slug, label))
        for slug, titles in found.items():
            self._by_slug.setdefault(slug, tuple(titles))
        counts = (GenreCount(names[slug], len(titles)) for slug, titles in found.items())
        return tuple(sorted(counts, key=lambda count: (-count.titles, count.slug)))


def item(title: Title, locale: str) -> dict[str, object]:
    """The title as the API shows it; what is unknown is None, a list in the source's order.

    In a Japanese answer it also has what is known of its people and genres by Japanese names.
    """
    shown: dict[str, object] = {
        "id": title.id,
        "title": title.title,
        "title_ja": title.title_ja,
        "authors": list(title.authors or title.authors_ja) or None,
        "genres": list(title.genres) or None,
        "demographic": list(title.demographic) or None,
        "published_from": title.published_from,
    }
    return shown | _japanese(title) if locale == "ja" else shown


def _japanese(title: Title) -> dict[str, object]:
    named = {
        "authors_ja": list(title.authors_ja),
        "genres_ja": names_in("ja", title.genres),
        "demographic_ja": names_in("ja", title.demographic),
    }
    return {name: known for name, known in named.items() if known}


def _by_popularity(title: Title) -> tuple[int, str]:
    return -(title.popularity if title.popularity is not None else -1), title.id
