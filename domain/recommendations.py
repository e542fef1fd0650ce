"""Recommendations for one user: which titles, how good, and for whom.

Personal: every value carries its owner, and a value that names another owner is no answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recommended:
    """One title and the model's score, larger is better."""

    item_id: str
    score: float


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What was computed for `user_id`, best first; times are epoch seconds.

    `features_at` is the newest event time of the features it was made of, 0 where there were none:
    a recommendation of older features is superseded by one of newer ones.
    """

    user_id: str
    items: Sequence[Recommended]
    generated_at: float
    features_at: float = 0.0
    model: str = ""


@dataclass(frozen=True, slots=True)
class RecommendationRequest:
    """All that the model is told: what was read lately and the features, never who asks.

    `recent` are title ids, newest first; `features` the live values by group.
    """

    recent: Sequence[str]
    features: Mapping[str, Mapping[str, str]]
    limit: int
