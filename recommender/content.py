"""Titles that are described alike: by genre, author and demographic, the rarer the more telling.

This is all that is known of a title that nobody has read yet, and of a store on its first day.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recommender.neighbours import KEPT, Neighbours, nobody, strongest

POPULARITY_PART = 0.2
"""How much of a likeness depends on the other title's popularity, which decides between equals."""


@dataclass(frozen=True, slots=True)
class Described:
    """A title as the catalogue describes it. `tags` are names with the weight of their kind;
    `popularity` grows with it, in any unit."""

    id: str
    tags: Sequence[tuple[str, float]]
    popularity: float = 0.0


@dataclass(frozen=True, slots=True)
class Tags:
    """Every tag by its name, and the titles that have it."""

    names: Sequence[str]
    starts: npt.NDArray[np.int64]
    titles: npt.NDArray[np.int64]

    def titles_of(self, tag: int) -> npt.NDArray[np.int64]:
        """The places of the titles that have the tag."""
        return self.titles[self.starts[tag] : self.starts[tag + 1]]


def folded(name: str) -> str:
    """A tag's name as names are compared."""
    return " ".join(name.casefold().split())


def tags_of(described: Sequence[Described]) -> Tags:
    """The tags of these titles."""
    found: dict[str, list[int]] = {}
    for place, title in enumerate(described):
        for name in dict.fromkeys(folded(name) for name, _ in title.tags):
            found.setdefault(name, []).append(place)
    starts = np.zeros(len(found) + 1, np.int64)
    np.cumsum([len(places) for places in found.values()], out=starts[1:])
    titles = np.array([place for places in found.values() for place in places], dtype=np.int64)
    return Tags(list(found), starts, titles)


def popularity_of(described: Iterable[Described]) -> npt.NDArray[np.float64]:
    """From 0 to 1 by rank, whatever unit the catalogue counts in; unknown ones share the least."""
    values = np.array([title.popularity for title in described], dtype=np.float64)
    ranks = np.searchsorted(np.sort(values), values, side="left")
    return np.asarray(ranks / max(1, len(values) - 1), dtype=np.float64)


def alike(described: Sequence[Described], tags: Tags) -> Neighbours:
    """The neighbours of each title: the cosine of their tags, a little by popularity."""
    titles = len(described)
    if not tags.names:
        return nobody(titles)
    own = _unit_vectors(described, tags)
    matrix = np.zeros(len(tags.titles))
    for title, weights in enumerate(own):
        for tag, weight in weights.items():
            begin = tags.starts[tag]
            matrix[begin + np.searchsorted(tags.titles_of(tag), title)] = weight
    liked = 1.0 - POPULARITY_PART + POPULARITY_PART * popularity_of(described)
    found = [_best(title, own[title], tags, matrix, liked) for title in range(titles)]
    rows = np.repeat(np.arange(titles), [len(columns) for columns, _ in found])
    columns = np.concatenate([columns for columns, _ in found])
    return strongest(rows, columns, np.concatenate([values for _, values in found]), titles)


def _best(
    title: int,
    weights: dict[int, float],
    tags: Tags,
    matrix: npt.NDArray[np.float64],
    liked: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    totals = np.zeros(len(liked))
    for tag, weight in weights.items():
        part = slice(tags.starts[tag], tags.starts[tag + 1])
        totals[tags.titles[part]] += matrix[part] * weight
    totals *= liked
    totals[title] = 0.0
    best = np.argpartition(-totals, min(KEPT, len(totals) - 1))[:KEPT]
    best = best[totals[best] > 0]
    return best, totals[best]


def _unit_vectors(described: Sequence[Described], tags: Tags) -> list[dict[int, float]]:
    places = {name: place for place, name in enumerate(tags.names)}
    counts = np.diff(tags.starts)
    vectors: list[dict[int, float]] = []
    for title in described:
        rare = {
            tag: weight * math.log(1 + len(described) / counts[tag])
            for name, weight in title.tags
            for tag in (places[folded(name)],)
        }
        norm = math.sqrt(sum(weight * weight for weight in rare.values()))
        vectors.append({tag: weight / norm for tag, weight in rare.items()})
    return vectors
