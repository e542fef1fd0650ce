"""Looking for titles by words and by likeness: what is asked for, what is found, how it is ranked.

Pure but for the two ports. Ranks are fused, not scores: those of words and of vectors have no
common unit.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from domain.catalogue import Title
from domain.genres import genre_name, slug_of

FUSION_OFFSET = 60
"""Reciprocal rank fusion as it was published: how little the first places differ."""
CANDIDATES = 20
"""Places of each ranking that take part in the fusion."""

Vector = Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to look for; with `genres` (slugs), only titles of at least one of them.

    None is found of an `excluded` genre, or that began outside of the years `since` to `until`.
    A text that says nothing finds whatever these leave, the most popular first. With `like`, no
    words are looked for: those titles are found that have most in common with it, never itself.
    """

    text: str
    genres: frozenset[str] = frozenset()
    limit: int = 5
    excluded: frozenset[str] = frozenset()
    since: int | None = None
    until: int | None = None
    like: "Comparison | None" = None

    @property
    def is_narrowed(self) -> bool:
        """Whether anything is ruled out, be it by what is wanted."""
        return bool(self.genres or self.excluded) or self.has_years or self.like is not None

    @property
    def has_years(self) -> bool:
        """Whether the year counts."""
        return self.since is not None or self.until is not None

    def is_in_years(self, published_from: str | None) -> bool:
        """Whether a title of this date is wanted; one without a date is not, where years count."""
        if not self.has_years:
            return True
        if not published_from:
            return False
        year = int(published_from[:4])
        return (self.since or 0) <= year <= (self.until or year)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A title that others are to be like: the slugs of its genres, and what each counts."""

    title_id: str
    weights: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """A title that was found, as the index knows it; `score` orders the hits of one search."""

    id: str
    title: str
    title_ja: str | None
    authors: tuple[str, ...]
    genres: tuple[str, ...]
    published_from: str | None
    score: float

    def fact(self) -> dict[str, object]:
        """What a prompt says of it; what is unknown is left out."""
        known = {
            "id": self.id,
            "title": self.title,
            "title_ja": self.title_ja,
            "authors": list(self.authors),
            "genres": list(self.genres),
            "published_from": self.published_from,
        }
        return {name: value for name, value in known.items() if value}


SOURCE_FIELDS = ("id", "title", "title_ja", "authors", "genres", "published_from")
"""What of a title travels from the index: the fields of a Hit."""


@dataclass(frozen=True, slots=True)
class Found:
    """The hits, best first; `is_partial` where a part of the search failed or was too slow."""

    hits: tuple[Hit, ...]
    is_partial: bool = False


class Search(Protocol):
    """An index of the titles that may stand in a list."""

    async def search(self, wanted: Wanted, seconds: float) -> Found:
        """What fits best, within so many seconds: by words, by likeness, or by what of the two
        answered. Raises Transient where neither did, Permanent for what no index understands.
        """
        ...


class Embedder(Protocol):
    """Makes vectors of length 1 out of texts; what is alike gets vectors that point alike."""

    dimensions: int
    min_similarity: float
    """The cosine below which two texts are not alike."""

    async def embed(self, text: str, seconds: float) -> Vector:
        """The vector of a text; raises Transient or Permanent."""
        ...


GenreWords = Callable[[str], Iterable[str]]
"""Further words for the genre of a slug."""


def fused(rankings: Iterable[Sequence[str]], limit: int) -> list[tuple[str, float]]:
    """The ids that stand high in several rankings, best first with their scores; ties by id.

    The first of each ranking is among them: a title that a question names is found by its words
    alone where its vector is that of a longer text, and many that are a little of both would take
    all places.
    """
    scores: dict[str, float] = {}
    firsts: set[str] = set()
    for ranking in rankings:
        firsts.update(ranking[:1])
        for place, title_id in enumerate(ranking[:CANDIDATES], 1):
            scores[title_id] = scores.get(title_id, 0.0) + 1.0 / (FUSION_OFFSET + place)
    ranked = sorted(scores, key=lambda title_id: (-scores[title_id], title_id))
    kept = set(sorted(ranked, key=lambda title_id: title_id not in firsts)[:limit])
    return [(title_id, scores[title_id]) for title_id in ranked if title_id in kept]


def hit(title: Title, score: float) -> Hit:
    """The title as a hit."""
    return Hit(
        title.id,
        title.title,
        title.title_ja,
        title.authors or title.authors_ja,
        (*title.demographic, *title.genres),
        title.published_from,
        score,
    )


def genre_slugs(title: Title) -> tuple[str, ...]:
    """The slugs of a title's genres and demographics, each once."""
    labels = (*title.demographic, *title.genres)
    return tuple(dict.fromkeys(filter(None, map(slug_of, labels))))


def names_text(title: Title) -> str:
    """Every name of a title and of its authors, a line each."""
    names = (*title.names(), *title.aliases, *title.authors, *title.authors_ja)
    return "\n".join(dict.fromkeys(names))


def about_text(title: Title, words: GenreWords) -> str:
    """The genres of a title in both languages, in the words by which customers ask for them."""
    lines: list[str] = []
    for slug in genre_slugs(title):
        name = genre_name(slug)
        lines.append(" ".join(dict.fromkeys((name.en, name.ja, *words(slug)))))
    return "\n".join(lines)
