"""How good recommendations are: the last title of each user, held back from training.

Knows nothing of how they are served. The interactions are those of the development data.
"""

from collections import Counter
from pathlib import Path

from bench.classify import SHARED
from bench.report import Claim, Table
from recommender import interactions
from recommender.model import Model
from recommender.scoring import recommend
from recommender.training import train

INTERACTIONS = SHARED / "interactions.csv.gz"
SHOWN = (5, 10, 20)
TIMES_POPULAR = 2.0

Histories = dict[str, list[str]]


def quality() -> tuple[Table, Claim] | None:
    """The table of recalls and what is promised; None without the data."""
    if not INTERACTIONS.exists():
        return None
    histories, last = held_back(INTERACTIONS)
    popular = {k: _recall_of_popular(histories, last, k) for k in SHOWN}
    model = train((), interactions.of(_rows(histories)))
    ours = {k: _recall(model, histories, last, k) for k in SHOWN}
    rows = [
        [name, *(f"{found[k]:.3f}" for k in SHOWN)]
        for name, found in (("most popular titles", popular), ("recommender", ours))
    ]
    users = f"{len(last)} users"
    table = Table(f"The last title of {users}, recall", ("", *(f"@{k}" for k in SHOWN)), rows)
    claim = Claim(
        "recall@20 of the recommender : of the most popular titles",
        ours[20] / popular[20],
        TIMES_POPULAR,
    )
    return table, claim


def held_back(path: Path) -> tuple[Histories, dict[str, str]]:
    """Each user's history without the last title, and that title."""
    found = interactions.read(path)
    histories: Histories = {}
    for user, item in zip(found.users.tolist(), found.items.tolist(), strict=True):
        histories.setdefault(str(user), []).append(found.item_ids[item])
    last: dict[str, str] = {}
    for user, items in histories.items():
        before = [item for item in items if item != items[-1]]
        if before:
            histories[user], last[user] = before, items[-1]
    return histories, last


def _rows(histories: Histories) -> list[tuple[float, str, str]]:
    return [
        (float(place), user, item)
        for user, items in histories.items()
        for place, item in enumerate(items)
    ]


def _recall(model: Model, histories: Histories, last: dict[str, str], k: int) -> float:
    found = 0
    for user, title in last.items():
        recent = list(dict.fromkeys(reversed(histories[user])))
        found += title in {one.id for one in recommend(model, recent, {}, k)}
    return found / len(last)


def _recall_of_popular(histories: Histories, last: dict[str, str], k: int) -> float:
    counts = Counter(item for items in histories.values() for item in set(items))
    ranked = [item for item, _ in counts.most_common(5000)]
    found = 0
    for user, title in last.items():
        known = set(histories[user])
        found += title in [item for item in ranked if item not in known][:k]
    return found / len(last)
