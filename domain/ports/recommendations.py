"""Who recommends, and where that is kept for users seen lately."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from domain.answers import StoredAnswer
from domain.ports.writing import Written
from domain.recommendations import RecommendationRequest, Recommended


@dataclass(frozen=True, slots=True)
class Due:
    """A user whose recommendation is to be made anew, and until when that is one worker's."""

    user_id: str
    until: float


class Recommendations(Protocol):
    """The recommendations that lie ready, and whose are due to be made anew."""

    def put(self, user_id: str, answer: StoredAnswer) -> Written:
        """Replace a user's recommendation, unless one at least as new is there."""
        ...

    def remove(self, user_id: str) -> None:
        """Forget a user's recommendation, of whom nothing is known any more."""
        ...

    def mark(self, user_ids: Collection[str], at: float) -> None:
        """Have these users' made anew at the time, or earlier where they are due earlier."""
        ...

    def take_due(self, limit: int, lease_seconds: float) -> Sequence[Due]:
        """Some who are due, the longest first; nobody else is given them during the lease."""
        ...

    def settle(self, due: Due, next_at: float | None) -> None:
        """End a lease: due again at that time, or not; not for whoever was marked meanwhile."""
        ...

    def count_due(self) -> int:
        """How many are due by now."""
        ...


class Recommender(Protocol):
    """The model behind an endpoint. Raises Transient, within about `seconds`; tries once."""

    def recommend(self, request: RecommendationRequest, seconds: float) -> Sequence[Recommended]:
        """Titles for these tastes, best first."""
        ...
