"""Has damaged stored answers deleted and made anew, in the background of the request path.

A damaged answer counts as a miss for whoever met it. One call for each key is under way at a time,
so that a thousand readers of it cause one.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol

from domain.answers import AnswerKey, Damage
from domain.errors import Transient
from domain.events import AnswerFoundDamaged
from serving.exchange import new_id
from serving.outbox import Producer
from serving.registry import Counter

log = logging.getLogger(__name__)

MEND_SECONDS = 1.0


class Menders(Protocol):
    """Redis as mending needs it."""

    async def mend(
        self, key: AnswerKey, damaged: bytes, event: bytes, seconds: float
    ) -> str | None:
        """Delete the answer unless it was replaced since; what follows, None where it was."""
        ...


class Mending:
    """What the routes tell of damage."""

    def __init__(
        self,
        menders: Menders,
        producer: Producer,
        count: Callable[[str], Counter],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._menders = menders
        self._producer = producer
        self._count = count
        self._clock = clock
        self._under_way: dict[AnswerKey, asyncio.Task[None]] = {}

    def report(self, key: AnswerKey, damaged: bytes, damage: Damage) -> None:
        """Have an answer mended; empty bytes stand for a key of a wrong type."""
        if key in self._under_way:
            return
        self._count(damage).inc()
        task = asyncio.create_task(self._mend(key, damaged, damage), name=f"mend {key.redis_key()}")
        self._under_way[key] = task
        task.add_done_callback(lambda _task: self._under_way.pop(key))

    async def settled(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._under_way.values())

    async def _mend(self, key: AnswerKey, damaged: bytes, damage: Damage) -> None:
        event = AnswerFoundDamaged(
            event_id=new_id(),
            occurred_at=self._clock(),
            producer=self._producer.name,
            seq=self._producer.next(),
            kind=key.kind,
            slug=key.slug,
            locale=key.locale,
            damage=damage,
        )
        encoded = self._producer.encode(event)
        try:
            outcome = await self._menders.mend(key, damaged, encoded, MEND_SECONDS)
        except Transient as error:  # the next reader meets it again
            log.warning("%s is damaged (%s) and stays so: %s", key.redis_key(), damage, error)
            return
        log.warning("%s was damaged (%s): %s", key.redis_key(), damage, outcome or "replaced since")
