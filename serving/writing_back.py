"""Tells the workers what was made while a user waited, so that the next request finds it ready."""

from collections.abc import Sequence
from typing import TypedDict

from domain.errors import MangaAssistError
from domain.events import Event, FeaturesChanged, RecommendationComputed, RecommendationMissed
from serving.exchange import new_id
from serving.meters import Meters
from serving.outbox import Producer, Stock
from serving.recommending import Made

WRITE_SECONDS = 1.0


class _Header(TypedDict):
    event_id: str
    occurred_at: float
    producer: str
    seq: int


class WriteBack:
    """Hands over what was made. Where the outbox does not take it, it is made once more."""

    def __init__(self, stock: Stock, producer: Producer, meters: Meters) -> None:
        self._stock = stock
        self._producer = producer
        self._meters = meters

    def __call__(self, made: Made) -> None:
        """Write the recommendation, and have features merged that only the store has."""
        events: list[Event] = []
        if made.items:
            items = tuple((one.item_id, one.score) for one in made.items)
            events.append(
                RecommendationComputed(**self._header(made), user_id=made.user_id, items=items)
            )
        self._append(made, events)

    def missed(self, made: Made) -> None:
        """Have the recommendation made by a worker, who has more time."""
        self._append(made, [RecommendationMissed(**self._header(made), user_id=made.user_id)])

    def _append(self, made: Made, events: list[Event]) -> None:
        if made.is_unmerged:
            events.append(FeaturesChanged(**self._header(made), user_id=made.user_id, group=""))
        encoded = [(made.user_id, self._producer.encode(event)) for event in events]
        self._stock.append(encoded, WRITE_SECONDS, self._written)

    def _header(self, made: Made) -> _Header:
        return {
            "event_id": new_id(),
            "occurred_at": made.generated_at,
            "producer": self._producer.name,
            "seq": self._producer.next(),
        }

    def _written(self, outcomes: Sequence[MangaAssistError | None]) -> None:
        lost = sum(outcome is not None for outcome in outcomes)
        if lost:
            self._meters.kept(RecommendationComputed.type, "dropped", lost)
