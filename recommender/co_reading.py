"""Titles that are read near each other: item-to-item similarity of interactions.

Two titles are alike when the same users came to them within a few steps, the nearer the more. On
held-back interactions this found more than the similarity of whole histories (`bench/results`).
"""

import numpy as np
import numpy.typing as npt

from recommender.interactions import Interactions
from recommender.neighbours import Neighbours, nobody, strongest

STEPS = 10
"""How far apart two interactions of a user may be to count."""


def co_read(interactions: Interactions, titles: int) -> Neighbours:
    """The neighbours of each title; `titles` is their number, of which some may have none."""
    if len(interactions) < 2:  # noqa: PLR2004 - a pair
        return nobody(titles)
    pairs, sums = _merged(
        [_at_distance(interactions, step, titles) for step in range(1, STEPS + 1)]
    )
    one, other = np.divmod(pairs, titles)
    pairs, sums = _merged([(pairs, sums), (other * titles + one, sums)])
    rows, columns = np.divmod(pairs, titles)
    # Shrunk: a single meeting of two rare titles says less than many of two common ones.
    met = np.bincount(rows, weights=sums, minlength=titles)
    readers = readers_of(interactions, titles)
    weights = sums / np.sqrt((met[rows] + 1) * (readers[columns] + 1))
    return strongest(rows, columns, weights, titles)


def readers_of(interactions: Interactions, titles: int) -> npt.NDArray[np.int64]:
    """How many users there are of each title."""
    seen = np.unique(interactions.users * titles + interactions.items)
    return np.bincount(seen % titles, minlength=titles)


Sums = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]


def _at_distance(interactions: Interactions, step: int, titles: int) -> Sums:
    users, items = interactions.users, interactions.items
    first, second = items[:-step], items[step:]
    counts = (users[:-step] == users[step:]) & (first != second)
    pairs = first[counts] * titles + second[counts]
    return pairs, np.full(len(pairs), 1.0 / step, dtype=np.float64)


def _merged(parts: list[Sums]) -> Sums:
    """Each pair once, with the sum of its weights."""
    pairs, places = np.unique(np.concatenate([pairs for pairs, _ in parts]), return_inverse=True)
    weights = np.concatenate([weights for _, weights in parts])
    sums = np.bincount(places, weights=weights, minlength=len(pairs))
    return pairs, sums.astype(np.float64, copy=False)
