"""Trending: time-decayed counts of what customers do with a title.

score(title, now) = sum over its events of weight * 2 ** (-(now - occurred_at) / half-life), over
the events of the window, each event id once. The decay factors out, so that a bucket need only
keep one number for each title: the sum of weight * 2 ** ((occurred_at - start) / half-life).

Who is not signed in only looks titles up, each visitor a title once within the window
(`event_id_of_look_up`). These are tallied apart, since they count only where somebody who is known
did something with the title too, or where they are of enough visitors.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from domain.events import InteractionType
from domain.jobs import CountInteraction

STRANGERS = "\x1f"
"""Stands before the id of a title where the look-ups of visitors who are not signed in add up."""
AHEAD_SECONDS = 7200.0
"""How far an event may lie ahead of the clock of who counts it; what lies further happens now.

The request path refuses what is a little ahead of its own: the rest is what two clocks may differ.
"""

_DIGITS = 9
"""Scores are rounded so that the order of float additions cannot decide between equal titles."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The declared figures of the score; all spans are in seconds.

    Fewer than `min_visitors` of those who are not signed in bring no title in by themselves.
    """

    weights: Mapping[InteractionType, float]
    rating_weight_per_star: float
    half_life_seconds: float
    window_seconds: float
    bucket_seconds: int
    min_visitors: int = 1

    @property
    def strangers_floor(self) -> float:
        """The most that look-ups of too few visitors can add up to."""
        ahead = 2 ** (AHEAD_SECONDS / self.half_life_seconds)
        return (self.min_visitors - 1) * self.weights[InteractionType.LOOKUP] * ahead

    def weight(self, interaction: InteractionType, value: float | None) -> float:
        """What one event counts for when it happens."""
        if interaction is InteractionType.RATING:
            return (value or 0.0) * self.rating_weight_per_star
        return self.weights[interaction]

    def bucket(self, occurred_at: float) -> int:
        """The start of the bucket that an event falls into, in epoch seconds."""
        return int(occurred_at // self.bucket_seconds) * self.bucket_seconds

    def decay(self, bucket: int, now: float) -> float:
        """What turns a bucket's sum into its part of the score at `now`."""
        return float(2 ** ((bucket - now) / self.half_life_seconds))


@dataclass(frozen=True, slots=True)
class Counted:
    """One counted interaction, as a bucket's log keeps it; `tally` is as `tally_of` says."""

    tally: str
    weight: float
    occurred_at: float


def tally_of(job: CountInteraction) -> str:
    """Under which name an interaction is added up."""
    is_strangers = job.interaction is InteractionType.LOOKUP and not job.user_id
    return f"{STRANGERS}{job.item_id}" if is_strangers else job.item_id


def scores(
    rule: Rule,
    now: float,
    full_buckets: Mapping[int, Mapping[str, float]],
    edge: Iterable[Counted],
) -> dict[str, float]:
    """The score of every title at `now`.

    `full_buckets` maps the start of each bucket that lies wholly in the window to its sums;
    `edge` is the log of the one bucket that the window's beginning cuts. Both go by tallies.
    """
    totals: dict[str, float] = {}
    for bucket, sums in full_buckets.items():
        factor = rule.decay(bucket, now)
        for tally, total in sums.items():
            totals[tally] = totals.get(tally, 0.0) + total * factor
    for counted in edge:
        age = now - counted.occurred_at
        if age <= rule.window_seconds:
            part = counted.weight * 2 ** (-age / rule.half_life_seconds)
            totals[counted.tally] = totals.get(counted.tally, 0.0) + part
    return {item_id: round(total, _DIGITS) for item_id, total in _admitted(rule, totals).items()}


def _admitted(rule: Rule, totals: Mapping[str, float]) -> dict[str, float]:
    """The scores of titles: what visitors who are not signed in add, where it counts."""
    admitted = {tally: total for tally, total in totals.items() if not tally.startswith(STRANGERS)}
    for tally, total in totals.items():
        item_id = tally.removeprefix(STRANGERS)
        if item_id != tally and (item_id in admitted or total > rule.strangers_floor):
            admitted[item_id] = admitted.get(item_id, 0.0) + total
    return admitted


def ranking(scored: Mapping[str, float]) -> list[tuple[str, float]]:
    """Titles by falling score, ties by id."""
    return sorted(scored.items(), key=lambda entry: (-entry[1], entry[0]))
