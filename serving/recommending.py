"""Makes a recommendation while its user waits, within what is left of the time, or gives up.

One for each user at a time, however many requests ask for it. What it was made of is looked for
where it is found fastest: Redis, then DynamoDB, and only where both say that they have nothing the
feature store, which is then not asked of that user again for a while.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from config.budgets import Budget
from domain.errors import MangaAssistError, Transient
from domain.features import UserFeatures
from domain.recommendations import RecommendationRequest, Recommended, request_of
from serving.backends import Backends, Hot
from serving.meters import Meters
from serving.tracing import LATE, Part

log = logging.getLogger(__name__)

Result = TypeVar("Result")

RESERVE_SECONDS = 0.03
"""What is kept of the time for choosing another answer and sending it."""
REMEMBERED = 4096
REMEMBER_SECONDS = 5.0
"""Longer than a worker takes to write what was made, so that the model is asked once."""
SEGMENTS = ("redis", "dynamodb", "feature_store", "model")


@dataclass(frozen=True, slots=True)
class Made:
    """What was made for one user. `items` are none where nothing is known of the user."""

    user_id: str
    items: Sequence[Recommended]
    recent: Sequence[str]
    generated_at: float
    is_unmerged: bool = False
    """Whether the feature store has, or may have, what the merged features lack."""


@dataclass(frozen=True, slots=True)
class Read:
    """What was read of a user's features; `is_certain` where somebody answered that."""

    features: UserFeatures | None
    is_unmerged: bool = False
    is_certain: bool = True


@dataclass(slots=True)
class Spent:
    """The seconds that each segment took, as far as this request waited for it."""

    seconds: dict[str, float] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)

    def note(self, segment: str, began: float, failure: str) -> float:
        """Note a segment that ends now; its seconds."""
        ended = time.perf_counter()
        self.seconds[segment] = ended - began
        self.parts.append(Part(segment, began, ended, failure))
        return ended - began


@dataclass(frozen=True, slots=True)
class Found:
    """What a request gets; `is_remembered` where it was made for an earlier one."""

    made: Made
    is_remembered: bool


class Recommending:
    """The one place where recommendations are made while somebody waits.

    `done` hears of each that was newly made, to have it written where the next request finds it;
    `missed` of each user for whom there was none in time, to have it made by others.
    """

    def __init__(
        self,
        backends: Backends,
        budget: Budget,
        meters: Meters,
        *,
        wanted: Collection[str],
        limit: int,
        done: Callable[[Made], None],
        missed: Callable[[Made], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._backends = backends
        self._budget = budget
        self._meters = meters
        self._wanted = wanted
        self._limit = limit
        self._done = done
        self._missed = missed
        self._clock = clock
        self._flights: dict[str, tuple[asyncio.Task[Made | None], Spent]] = {}
        self._remembered: dict[str, tuple[float, Made]] = {}

    @property
    def total_seconds(self) -> float:
        """What a request may take from its beginning."""
        return self._budget.total_ms / 1000

    async def find(self, user_id: str, seconds: float, spent: Spent) -> Found | None:
        """The user's recommendation within these seconds; None where there is none in time."""
        ends_at = _now() + seconds - RESERVE_SECONDS
        remembered = self._recall(user_id)
        if remembered is not None:
            return Found(remembered, is_remembered=True)
        flight, spent_by_flight = self._flight(user_id)
        try:
            async with asyncio.timeout_at(ends_at):
                # The others who wait for it must not lose it when one gives up.
                made = await asyncio.shield(flight)
        except TimeoutError:
            made = None
        spent.seconds |= spent_by_flight.seconds
        spent.parts += spent_by_flight.parts
        return Found(made, is_remembered=False) if made is not None else None

    def _flight(self, user_id: str) -> tuple[asyncio.Task[Made | None], Spent]:
        """What makes the user's; it has the whole time, however little the first to wait has left.

        Who joins may have more, and what comes too late for all is ready for the next.
        """
        flight = self._flights.get(user_id)
        if flight is None:
            spent, ends_at = Spent(), _now() + self.total_seconds - RESERVE_SECONDS
            task = asyncio.create_task(self._fly(user_id, ends_at, spent), name="recommendation")
            flight = self._flights[user_id] = (task, spent)
            task.add_done_callback(lambda _: self._flights.pop(user_id))
        return flight

    async def _fly(self, user_id: str, ends_at: float, spent: Spent) -> Made | None:
        try:
            return await self._make(user_id, ends_at, spent)
        except Exception:  # the edge of a background task: whoever waits gets another answer
            log.exception("a recommendation failed")
            return None

    async def _make(self, user_id: str, ends_at: float, spent: Spent) -> Made | None:
        now = self._clock()
        hot = await self._hot(user_id, ends_at, spent)
        read = Read(hot.features)
        if hot.features is None:
            read = await self._read(user_id, ends_at, spent)
        request = request_of(
            read.features, hot.recent, wanted=self._wanted, limit=self._limit, now=now
        )
        made = Made(user_id, (), hot.recent, now, read.is_unmerged)
        if request is not None:
            try:
                made = replace(made, items=await self._ask(request, ends_at, spent))
            except MangaAssistError as error:
                log.debug("a recommendation could not be made: %s", error)
                self._missed(made)
                return None
        elif not read.is_certain:
            self._missed(made)
            return None
        self._remember(made)
        if made.items or made.is_unmerged:
            self._done(made)
        if not read.is_certain:  # good enough for now: a worker has the time to make a better one
            self._missed(made)
        return made

    async def _hot(self, user_id: str, ends_at: float, spent: Spent) -> Hot:
        seconds = self._seconds("redis", ends_at)
        try:
            return await self._within("redis", seconds, self._backends.hot(user_id, seconds), spent)
        except Transient:
            return Hot()

    async def _read(self, user_id: str, ends_at: float, spent: Spent) -> Read:
        """The features: from DynamoDB, and from the feature store where that says it has none.

        The feature store allows few reads: an outage of DynamoDB must not be passed on to it.
        """
        try:
            cached = await self._cached(user_id, ends_at, spent)
        except Transient:
            return Read(None, is_certain=False)
        if cached is not None:
            return Read(cached)
        try:
            seconds = self._seconds("feature_store", ends_at)
            stored = await self._within(
                "feature_store", seconds, self._backends.stored(user_id), spent
            )
        except Transient:
            return Read(None, is_unmerged=True, is_certain=False)
        if stored is None:
            self._backends.note_unknown(user_id)
        return Read(stored, is_unmerged=stored is not None)

    async def _cached(self, user_id: str, ends_at: float, spent: Spent) -> UserFeatures | None:
        """What DynamoDB has. A read that is late is sent once more, and either may answer.

        Late is not absent: they have as long as the feature store, which is not asked, would take.
        """
        budget = self._seconds("dynamodb", ends_at)
        seconds = min(budget + self._budget.seconds("feature_store"), max(0.0, ends_at - _now()))
        return await self._within(
            "dynamodb", seconds, self._hedged(user_id, budget), spent, budget=budget
        )

    async def _hedged(self, user_id: str, budget: float) -> UserFeatures | None:
        reads = [asyncio.ensure_future(self._backends.cached(user_id))]
        try:
            await asyncio.wait(reads, timeout=budget)
            if not reads[0].done():
                reads.append(asyncio.ensure_future(self._backends.cached(user_id)))
            failure = Transient("nothing was read", dependency="dynamodb")
            for read in asyncio.as_completed(reads):
                try:
                    return await read
                except Transient as error:
                    failure = error
            raise failure
        finally:
            for one in reads:
                one.cancel()

    async def _ask(
        self, request: RecommendationRequest, ends_at: float, spent: Spent
    ) -> Sequence[Recommended]:
        seconds = self._seconds("model", ends_at)
        asked = self._backends.recommend(request, seconds)
        return await self._within("model", seconds, asked, spent)

    def _seconds(self, segment: str, ends_at: float) -> float:
        """What a segment may take: its own budget, or what is left of the whole."""
        return max(0.0, min(self._budget.seconds(segment), ends_at - _now()))

    async def _within(
        self,
        segment: str,
        seconds: float,
        call: Awaitable[Result],
        spent: Spent,
        *,
        budget: float | None = None,
    ) -> Result:
        """What the call returns within the seconds; `budget` is how long it was meant to take."""
        began = time.perf_counter()
        meant_until = _now() + (seconds if budget is None else budget)
        failure = ""
        try:
            async with asyncio.timeout(seconds):
                return await call
        except TimeoutError:
            failure = LATE
            raise Transient(f"{segment} took longer than it may") from None
        except MangaAssistError as error:
            failure = type(error).__name__
            raise
        finally:
            if _now() >= meant_until:
                self._meters.budget_exceeded(segment).inc()
            took = spent.note(segment, began, failure)
            self._meters.segment_seconds(segment).observe(took)

    def _recall(self, user_id: str) -> Made | None:
        found = self._remembered.get(user_id)
        return found[1] if found is not None and _now() < found[0] else None

    def _remember(self, made: Made) -> None:
        self._remembered.pop(made.user_id, None)
        if len(self._remembered) >= REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[made.user_id] = (_now() + REMEMBER_SECONDS, made)


def _now() -> float:
    return asyncio.get_running_loop().time()
