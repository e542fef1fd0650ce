"""Recommendations for one user: which titles, how good, and for whom.

Personal: every value carries its owner, and a value that names another owner is no answer.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from domain.catalogue import Catalogue, Title
from domain.features import UserFeatures

SPARE = 2
"""The model is asked for so many times what is shown: some may not stand in a list."""
MAX_ASKED = 100
"""What an endpoint gives at the most."""
FILLED = 0.0
"""The score of a title that nothing speaks for but its popularity: it fills a list up."""


@dataclass(frozen=True, slots=True)
class Recommended:
    """One title and the model's score, larger is better."""

    item_id: str
    score: float


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What was computed for `user_id`, best first; times are epoch seconds.

    `generated_at` is when that which it was made of was read: of two recommendations the later one
    knows more, however long the model took over either.
    """

    user_id: str
    items: Sequence[Recommended]
    generated_at: float


@dataclass(frozen=True, slots=True)
class RecommendationRequest:
    """All that the model is told: what was read lately and the features, never who asks.

    `recent` are title ids, newest first; `features` the live values by group.
    """

    recent: Sequence[str]
    features: Mapping[str, Mapping[str, str]]
    limit: int


def request_of(
    features: UserFeatures | None,
    recent: Sequence[str],
    *,
    wanted: Collection[str],
    limit: int,
    now: float,
) -> RecommendationRequest | None:
    """What to ask the model, with the wanted features alone; None where nothing is known."""
    live = features.live(now) if features is not None else {}
    told = {
        group: kept
        for group, values in live.items()
        if (kept := {name: values[name] for name in sorted(wanted & values.keys())})
    }
    if not recent and not told:
        return None
    return RecommendationRequest(recent, told, min(MAX_ASKED, limit * SPARE + len(recent)))


def presentable(
    items: Sequence[Recommended], catalogue: Catalogue, known: Collection[str], limit: int
) -> Sequence[tuple[Title, float]]:
    """The titles that the store has, may list, and the user does not know already.

    What is left free is filled with the most popular ones; where none of `items` is left there are
    none at all, since then nothing of the list would be the user's own.
    """
    found: dict[str, tuple[Title, float]] = {}
    for one in items:
        title = catalogue.get(one.item_id)
        if title is not None and title.listable and one.score != FILLED and title.id not in known:
            found.setdefault(title.id, (title, one.score))
    rows = list(found.values())[:limit]
    if rows:
        others = (t for t in catalogue.by_popularity if t.id not in known and t.id not in found)
        rows += [(other, FILLED) for other in islice(others, limit - len(rows))]
    return rows
