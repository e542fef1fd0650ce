"""What the turns of a process share: Redis, where events go, what was seen, how it is counted."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from serving.answers import BuiltInAnswers, SeenAnswers
from serving.mending import Mending
from serving.meters import Meters
from serving.outbox import DrySink, EventSink, Producer, Stock
from serving.places import Places


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Everything that any turn needs; `redis_seconds` is what its one round trip may take."""

    stock: Stock
    sink: EventSink
    producer: Producer
    seen: SeenAnswers
    mending: Mending
    built_in: BuiltInAnswers
    meters: Meters
    redis_seconds: float
    clock: Callable[[], float] = time.time
    places: Places = field(default_factory=Places)

    def dry(self, stock: Stock, meters: Meters) -> "Desk":
        """The same with stand-ins for whatever would keep or count anything."""
        return replace(
            self,
            stock=stock,
            meters=meters,
            sink=DrySink(),
            seen=SeenAnswers(),
            producer=Producer("warm-up", self.producer.encode),
        )
