"""Answers of the model that are given more than once: one computation for all who ask the same.

Within a process all who ask at once share one flight; among processes a lease in Redis says who
computes, and the others look until the response is there. A response is made anew in the background
before it expires, so that nobody waits for that. Knows no model: the caller brings the computation.
"""

import asyncio
import logging
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from adapters.redis_kept import KeptRedis
from adapters.redis_serving_responses import Claim, Mine, ServingResponses
from config import answers, response_cache
from config.response_cache import ResponseCacheTable
from domain.answers import Damage, Damaged
from domain.errors import Malformed, Transient
from domain.response_cache import Asked, Generated, Lifetimes, StoredResponse
from serving import response_store
from serving.flights import Broadcast, Emit, Flight, Flights
from serving.outbox import EventSink, Producer
from serving.registry import Registry
from serving.response_making import ResponseMaking, Unkept
from serving.response_meters import ResponseMeters
from serving.response_store import Ahead, Compute, Counts, Wire

log = logging.getLogger(__name__)

MAX_REFRESHES = 32
"""Responses made anew at a time; beyond that a later reader begins."""

Source = Literal["cache", "model", "stale"]

_OUTCOMES: dict[Source, str] = {"cache": "hit", "stale": "stale", "model": "computed"}


@dataclass(frozen=True, slots=True)
class Given:
    """A response and where it comes from."""

    response: StoredResponse
    source: Source


class ResponseCache:
    """The cache of one process, over the store that all processes share."""

    def __init__(self, making: ResponseMaking, counts: Counts) -> None:
        self._making = making
        self._store = making.store
        self._table = making.table
        self._counts = counts
        self._flights = Flights[Given | None]()
        self._refreshes: dict[str, asyncio.Task[None]] = {}

    async def answer(
        self,
        asked: Asked,
        compute: Compute,
        seconds: float,
        emit: Emit | None = None,
        *,
        streaming_seconds: float = 0.0,
        ahead: Ahead | None = None,
    ) -> Given | None:
        """The response to what is asked, within so many seconds; None where there is none by then.

        `compute` is run once for all who ask, or not at all. `emit` gets the text piece by piece,
        as it comes from the model or as it came when it was first given; whoever hears some waits
        for `streaming_seconds`. Where None is returned after pieces, they were not the answer.
        `ahead` begins what the computation will need, while it is found out who makes it.
        """
        flight = self._flights.of(asked.key, lambda new: self._lead(asked, compute, new, ahead))
        given = await flight.join(seconds, emit, streaming_seconds)
        self._counts.responses(_OUTCOMES[given.source] if given else "nothing").inc()
        return given

    def found(
        self, asked: Asked, stored: bytes, compute: Compute, emit: Emit | None = None
    ) -> Given | None:
        """The response in bytes that the caller has read already; None unless they are a good one.

        Makes it anew in the background where it is due.
        """
        try:
            given = self._give(asked, self._read(asked, stored), compute)
        except Damaged:
            return None
        self._counts.responses(_OUTCOMES[given.source]).inc()
        if emit is not None:
            for piece in given.response.pieces():
                emit(piece)
        return given

    @property
    def under_way(self) -> int:
        """How many responses are being looked for or made, but for those made anew."""
        return len(self._flights)

    def is_making(self, asked: Asked) -> bool:
        """Whether whoever asks this now shares what is under way here."""
        return self._flights.has(asked.key)

    async def kept(self, asked: Asked, seconds: float) -> StoredResponse | None:
        """The response that is there, whatever its age; makes none and waits for none."""
        try:
            stored = await self._store.read(asked.key, seconds)
            return None if stored is None else self._read(asked, stored)
        except (Transient, Damaged):
            return None

    def unkept(self, asked: Asked, generated: Generated) -> Unkept:
        """An answer that is kept for nobody, with the event that has it checked."""
        return self._making.unkept(asked, generated)

    async def settled(self) -> None:
        """Wait for what is made anew or shared in the background."""
        await asyncio.gather(*self._refreshes.values())
        await self._making.settled()

    async def close(self) -> None:
        """Stop whatever is under way, and give its leases back."""
        for task in self._refreshes.values():
            task.cancel()
        await asyncio.gather(*self._refreshes.values(), return_exceptions=True)
        await self._flights.close()
        await self._making.settled()

    async def _lead(
        self, asked: Asked, compute: Compute, flight: Flight[Given | None], ahead: Ahead | None
    ) -> Given | None:
        begun = ahead() if ahead is not None else None
        try:
            return await self._fly(asked, compute, flight)
        finally:
            if begun is not None:
                begun.cancel()

    async def _fly(
        self, asked: Asked, compute: Compute, flight: Flight[Given | None]
    ) -> Given | None:
        """Look until the response is there, its computation failed, or it is ours to compute."""
        token, pause = secrets.token_hex(8), self._table.poll_min_ms / 1000
        while True:
            claimed = await self._claim(asked, token)
            if isinstance(claimed, StoredResponse):
                for piece in claimed.pieces():
                    flight.broadcast.emit(piece)
                return self._give(asked, claimed, compute)
            if isinstance(claimed, Mine):
                made = await self._making.make(
                    asked, compute, token, flight.broadcast, after=0, banned=claimed.banned
                )
                return Given(made, "model") if made is not None else None
            if claimed is Claim.FAILING or not flight.waiting:
                return None
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, self._table.poll_max_ms / 1000)

    async def _claim(self, asked: Asked, token: str) -> StoredResponse | Mine | Claim:
        """The response, or who computes it: this process where the store cannot be asked."""
        try:
            for _ in range(2):
                claimed = await self._ask(asked.key, token, -1)
                if not isinstance(claimed, bytes):
                    return claimed
                try:
                    response = self._read(asked, claimed)
                    response.answer()
                    return response  # noqa: TRY300 - what is damaged is dropped, and asked for again
                except Malformed:
                    await self._store.drop(asked.key, claimed, response_store.STORE_SECONDS)
        except Transient as error:
            log.debug("the response cache cannot be asked: %s", error)
        return Mine()

    async def _ask(self, key: str, token: str, known: int) -> bytes | Mine | Claim:
        """Claim; whoever is cancelled meanwhile may have the lease without knowing it."""
        try:
            return await self._store.claim(key, token, known, response_store.STORE_SECONDS)
        except asyncio.CancelledError:
            self._making.give_back(key, token)
            raise

    def _read(self, asked: Asked, stored: bytes) -> StoredResponse:
        try:
            return self._making.wire.unpack(stored, asked.key, asked.scope.owner)
        except Damaged as error:
            self._counts.invalid(error.damage).inc()
            if error.damage in {Damage.FOREIGN_OWNER, Damage.SEAL}:
                log.warning("a cached response was not made for its reader: %s", error.damage)
            raise

    def _give(self, asked: Asked, response: StoredResponse, compute: Compute) -> Given:
        now = self._making.clock()
        if response.is_due(now, self._table.xfetch_beta, 1.0 - self._making.chance()):
            self._refresh(asked, response, compute)
        return Given(response, "stale" if response.is_stale(now) else "cache")

    def _refresh(self, asked: Asked, response: StoredResponse, compute: Compute) -> None:
        key = asked.key
        if key in self._refreshes or response.is_negative:
            return
        if len(self._refreshes) >= MAX_REFRESHES:
            self._counts.refreshes("dropped").inc()
            return
        anew = self._make_anew(asked, response.version, compute)
        task = self._refreshes[key] = asyncio.create_task(anew, name=f"refresh {key}")
        task.add_done_callback(lambda _task: self._refreshes.pop(key))

    async def _make_anew(self, asked: Asked, version: int, compute: Compute) -> None:
        token = secrets.token_hex(8)
        try:
            claimed = await self._ask(asked.key, token, version)
        except Transient:  # whoever reads it next begins
            self._making.give_back(asked.key, token)
            self._counts.refreshes("failed").inc()
            return
        if not isinstance(claimed, Mine):
            self._counts.refreshes("left").inc()
            return
        made = await self._making.make(
            asked, compute, token, Broadcast(), after=version, banned=claimed.banned
        )
        self._counts.refreshes("failed" if made is None else "computed").inc()


def over_redis(
    bulk: KeptRedis,
    *,
    shards: int,
    wire: Wire,
    sink: EventSink,
    producer: Producer,
    registry: Registry,
    clock: Callable[[], float],
    table: ResponseCacheTable | None = None,
) -> ResponseCache:
    """The cache of a serving process, as the tables (or this one) declare it."""
    table = table or response_cache.declared()
    row = answers.declared().kinds.response
    making = ResponseMaking(
        store=ServingResponses(bulk, shards=shards, lease_seconds=table.lease_seconds),
        wire=wire,
        sink=sink,
        producer=producer,
        table=table,
        lifetimes=Lifetimes(
            ttl=row.ttl_seconds,
            jitter=row.jitter_seconds,
            negative_ttl=table.negative_ttl_seconds,
            hard_ttl=row.hard_ttl_seconds,
        ),
        clock=clock,
    )
    return ResponseCache(making, ResponseMeters(registry))
