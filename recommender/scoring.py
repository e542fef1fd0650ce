"""Which titles somebody may like who did something with these lately, and has these features.

Each title of the history speaks for its neighbours, the latest most. How far what others did is
trusted depends on how many they were; the rest is left to how the titles are described.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recommender.content import folded
from recommender.model import Model

FADING = 0.7
"""What each older title of a history counts for, beside the one after it."""
HISTORY = 50
TASTE_WEIGHT = 0.3
"""What a taste that a feature names counts for, beside the latest title of the history."""
TRUST_READERS = 5
"""So many readers make what they did count as much as the description."""

_LIST = re.compile(r"[,;|、\t\n]+")


@dataclass(frozen=True, slots=True)
class Scored:
    """A title and how well it fits; only the order of scores means something."""

    id: str
    score: float


def recommend(
    model: Model, recent: Sequence[str], features: Mapping[str, Mapping[str, str]], limit: int
) -> Sequence[Scored]:
    """The best titles that are not in the history; none where nothing is known of the taste."""
    words = list(_words(features))
    history = [
        model.places[title] for title in dict.fromkeys([*recent, *words]) if title in model.places
    ][:HISTORY]
    totals = np.zeros(len(model.ids))
    for age, place in enumerate(history):
        _add_neighbours(model, place, FADING**age, totals)
    for word in dict.fromkeys(map(folded, words)):
        tag = model.tag_places.get(word)
        if tag is not None:
            titles = model.tags.titles_of(tag)
            totals[titles] += TASTE_WEIGHT * (0.1 + 0.9 * model.popularity[titles])
    totals[history] = 0.0
    best = np.argsort(-totals, kind="stable")[:limit]
    return [
        Scored(model.ids[place], round(float(totals[place]), 6))
        for place in best
        if totals[place] > 0
    ]


def _add_neighbours(
    model: Model, place: int, weight: float, totals: npt.NDArray[np.float64]
) -> None:
    readers = model.readers[place]
    trust = readers / (readers + TRUST_READERS)
    model.read.add_row(place, weight * trust, totals)
    model.alike.add_row(place, weight * (1.0 - trust), totals)


def _words(features: Mapping[str, Mapping[str, str]]) -> Iterable[str]:
    """Whatever the values name: a list of titles, of genres, of authors."""
    for values in features.values():
        for value in values.values():
            yield from filter(None, (word.strip() for word in _LIST.split(value)))
