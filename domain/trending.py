"""Trending: time-decayed counts of what customers do with a title.

score(title, now) = sum over its events of weight * 2 ** (-(now - occurred_at) / half-life), over
the events of the window, each event id once. The decay factors out, so that a bucket need only
keep one number for each title: the sum of weight * 2 ** ((occurred_at - start) / half-life).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from domain.events import InteractionType

_DIGITS = 9
"""Scores are rounded so that the order of float additions cannot decide between equal titles."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The declared figures of the score; all spans are in seconds."""

    weights: Mapping[InteractionType, float]
    rating_weight_per_star: float
    half_life_seconds: float
    window_seconds: float
    bucket_seconds: int

    def weight(self, interaction: InteractionType, value: float | None) -> float:
        """What one event counts for when it happens."""
        if interaction is InteractionType.RATING:
            return (value or 0.0) * self.rating_weight_per_star
        return self.weights[interaction]

    def bucket(self, occurred_at: float) -> int:
        """The start of the bucket that an event falls into, in epoch seconds."""
        return int(occurred_at // self.bucket_seconds) * self.bucket_seconds

    def grown(self, weight: float, occurred_at: float) -> float:
        """The weight relative to its bucket's start, which is what a bucket adds up."""
        age = occurred_at - self.bucket(occurred_at)
        return float(weight * 2 ** (age / self.half_life_seconds))

    def decay(self, bucket: int, now: float) -> float:
        """What turns a bucket's sum into its part of the score at `now`."""
        return float(2 ** ((bucket - now) / self.half_life_seconds))


@dataclass(frozen=True, slots=True)
class Counted:
    """One counted interaction, as a bucket's log keeps it."""

    item_id: str
    weight: float
    occurred_at: float


def scores(
    rule: Rule,
    now: float,
    full_buckets: Mapping[int, Mapping[str, float]],
    edge: Iterable[Counted],
) -> dict[str, float]:
    """The score of every title at `now`.

    `full_buckets` maps the start of each bucket that lies wholly in the window to its sums;
    `edge` is the log of the one bucket that the window's beginning cuts.
    """
    totals: dict[str, float] = {}
    for bucket, sums in full_buckets.items():
        factor = rule.decay(bucket, now)
        for item_id, total in sums.items():
            totals[item_id] = totals.get(item_id, 0.0) + total * factor
    for counted in edge:
        age = now - counted.occurred_at
        if age <= rule.window_seconds:
            part = counted.weight * 2 ** (-age / rule.half_life_seconds)
            totals[counted.item_id] = totals.get(counted.item_id, 0.0) + part
    return {item_id: round(total, _DIGITS) for item_id, total in totals.items()}


def ranking(scored: Mapping[str, float]) -> list[tuple[str, float]]:
    """Titles by falling score, ties by id."""
    return sorted(scored.items(), key=lambda entry: (-entry[1], entry[0]))
