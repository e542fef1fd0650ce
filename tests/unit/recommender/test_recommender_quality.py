"""Recommendations of the last interaction of each user, which training has not seen."""

from collections import Counter
from dataclasses import dataclass

import pytest

from recommender import interactions
from recommender.scoring import recommend
from recommender.training import train
from tests.shared_data import shared

K = 20


@dataclass(frozen=True)
class HeldBack:
    """Each user's history without the last title, and that title."""

    histories: dict[int, list[str]]
    last: dict[int, str]


@pytest.fixture(scope="module")
def held_back() -> HeldBack:
    found = interactions.read(shared("interactions.csv.gz"))
    histories: dict[int, list[str]] = {}
    for user, item in zip(found.users.tolist(), found.items.tolist(), strict=True):
        histories.setdefault(user, []).append(found.item_ids[item])
    last: dict[int, str] = {}
    for user, items in histories.items():
        before = [item for item in items if item != items[-1]]
        if before:
            histories[user], last[user] = before, items[-1]
    return HeldBack(histories, last)


def test_it_finds_at_least_twice_what_the_most_popular_titles_do(held_back: HeldBack) -> None:
    rows = [
        (float(place), str(user), item)
        for user, items in held_back.histories.items()
        for place, item in enumerate(items)
    ]
    model = train((), interactions.of(rows))
    popular = [
        item
        for item, _ in Counter(
            item for items in held_back.histories.values() for item in set(items)
        ).most_common(1000)
    ]
    found = found_by_popularity = 0
    for user, last in held_back.last.items():
        history = held_back.histories[user]
        recent = list(dict.fromkeys(reversed(history)))
        found += last in {one.id for one in recommend(model, recent, {}, K)}
        known = set(history)
        found_by_popularity += last in [item for item in popular if item not in known][:K]
    assert len(held_back.last) > 1000
    assert found >= 2 * found_by_popularity > 0, (found, found_by_popularity)
