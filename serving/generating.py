"""Makes an answer with the model: finds titles, assembles the prompt, chooses a model, streams.

Each step has its own time within that of the whole. Knows no cache and no client.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from config.budgets import Budget
from config.models import Model, Models
from domain.catalogue import Catalogue
from domain.errors import MangaAssistError, Permanent, Transient
from domain.events import Locale
from domain.model import ChatModel, Ended, Prompt, Stop
from domain.model_answers import (
    NOTHING_KNOWN,
    Background,
    compared,
    customer,
    facts,
    listed,
    spoken_of,
    wanted_text,
)
from domain.prompts import Asked, Limits, assemble
from domain.response_cache import Generated
from domain.routing import Router, Size
from domain.search import Hit, Search, Wanted
from serving.flights import Emit
from serving.generation_meters import GenerationMeters
from serving.tracing import Part

SEGMENTS = ("lease", "search", "prompt", "model")
"""What an answer waits for: the lease to make it, beside which search begins, then each in turn."""
TIMER_SECONDS = 0.002
"""By so much a timer may be early: what was given up for its budget took nearly all of it."""
BROKEN_OFF = "…"
"""Stands at the end of an answer that became as long as it may be."""


Narrow = Callable[[str, int], Wanted]
"""What to look for, for a question and at most so many titles."""


class ModelsBySize(Protocol):
    """The models that there are to choose from."""

    def of(self, size: Size) -> ChatModel:
        """The model for questions of this size."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A question, and what goes into its prompt beside it."""

    question: str
    locale: Locale
    known: Background = NOTHING_KNOWN


@dataclass(slots=True)
class Making:
    """What is known of an answer that is being made: seconds by segment, and the titles found."""

    seconds: dict[str, float] = field(default_factory=dict)
    hits: Sequence[Hit] = ()
    is_partial: bool = False
    """Whether a part of the search failed or was too slow."""
    looking: asyncio.Task[Sequence[Hit]] | None = None
    """The search for what is `wanted`, which may begin before it is known who makes the answer."""
    wanted: Wanted | None = None
    parts: list[Part] = field(default_factory=list)

    def note(self, segment: str, began: float, failure: str = "") -> float:
        """Note a segment that ends now, unless nobody waits for its end any more; its seconds."""
        ended = time.perf_counter()
        if segment not in self.seconds:
            self.seconds[segment] = ended - began
            self.parts.append(Part(segment, began, ended, failure))
        return ended - began

    def give_up(self) -> None:
        """End the search: nothing is made of it."""
        if self.looking is not None:
            self.looking.cancel()
        self.looking = self.wanted = None


class Generating:
    """Makes answers from the catalogue and the index of the moment."""

    def __init__(
        self,
        *,
        search: Callable[[], Search | None],
        catalogue: Callable[[], Catalogue | None],
        models: ModelsBySize,
        table: Models,
        limit: int,
        max_chars: int,
        budget: Budget,
        meters: GenerationMeters,
        narrow: Narrow,
        goes_on: Callable[[str], bool],
    ) -> None:
        self._search = search
        self._catalogue = catalogue
        self._models = models
        self._table = table
        self._router = Router(table.routing.long_question_tokens, table.routing.phrases)
        self._limit = limit
        self._max_chars = max_chars
        self._budget = budget
        self._meters = meters
        self._narrow = narrow
        self._goes_on = goes_on

    def model_of(self, question: str) -> Model:
        """The model that will be asked."""
        return self._row(self._router.size(question))

    def refused(self, question: str, outcome: str) -> None:
        """Count a call that is not made."""
        self._meters.calls(self._router.size(question).value, outcome).inc()

    def look(self, wish: Wish, making: Making) -> asyncio.Task[Sequence[Hit]]:
        """Begin to search for an answer that will be made, or not: then cancel it.

        A search for the same that is under way goes on; one for something else ends.
        """
        wanted = self._wanted(wish)
        if making.looking is not None and making.wanted == wanted:
            return making.looking
        making.give_up()
        ends_at = _now() + self._budget.total_ms / 1000
        task = asyncio.create_task(self._found(wanted, ends_at, making), name="search")
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        making.looking, making.wanted = task, wanted
        return task

    async def make(self, wish: Wish, seconds: float, emit: Emit, making: Making) -> Generated:
        """The answer within so many seconds; its pieces are emitted as they come.

        Raises MangaAssistError where there is none: pieces that came before are then no answer.
        """
        ends_at = _now() + min(seconds, self._budget.total_ms / 1000)
        making.hits = await self.look(wish, making)
        catalogue = self._catalogue()
        if catalogue is None:
            raise Transient("there is no catalogue yet", dependency="catalogue")
        with self._timed("prompt", making):
            size = self._router.size(wish.question)
            told = [*compared(making.wanted, catalogue), *making.hits]
            prompt = self._prompt(wish, size, told, catalogue)
        with self._timed("model", making):
            text = await self._said(prompt, size, ends_at, emit)
        items = spoken_of(text, making.hits, catalogue, wish.locale)
        return Generated(
            text,
            items,
            is_negative=not listed((one.id for one in making.hits), catalogue),
            is_partial=making.is_partial,
        )

    def _wanted(self, wish: Wish) -> Wanted:
        wanted = self._narrow(wish.question, self._limit)
        if wanted.is_narrowed or not self._goes_on(wish.question):
            return wanted
        return replace(wanted, text=wanted_text(wanted.text, wish.known))

    async def _found(self, wanted: Wanted, ends_at: float, making: Making) -> Sequence[Hit]:
        search = self._search()
        if search is None:
            raise Transient("titles cannot be searched yet", dependency="search")
        seconds = self._seconds("search", ends_at)
        with self._timed("search", making):
            try:
                async with asyncio.timeout(seconds):
                    found = await search.search(wanted, seconds)
            except TimeoutError as error:
                raise Transient("search took longer than it may", dependency="search") from error
        making.is_partial = found.is_partial
        return found.hits

    def _prompt(self, wish: Wish, size: Size, hits: Sequence[Hit], catalogue: Catalogue) -> Prompt:
        asked = Asked(
            question=wish.question,
            turns=wish.known.turns,
            summary=wish.known.summary,
            customer=customer(wish.known, catalogue),
            facts=facts(hits, catalogue, wish.locale),
        )
        limits = Limits(self._table.history_turns, self._row(size).context_tokens)
        return assemble(self._table.instructions.of(wish.locale), asked, limits)

    async def _said(self, prompt: Prompt, size: Size, ends_at: float, emit: Emit) -> str:
        outcome = "cancelled"
        try:
            text, ended = await self._streamed(prompt, size, ends_at, emit)
            outcome = "withheld" if ended.stop is Stop.WITHHELD else "answered"
        except MangaAssistError:
            outcome = "failed"
            raise
        finally:
            self._meters.calls(size.value, outcome).inc()
        self._meters.tokens(size.value, "in").inc(ended.input_tokens)
        self._meters.tokens(size.value, "out").inc(ended.output_tokens)
        if ended.stop is Stop.WITHHELD:
            raise Permanent("the model withheld its answer")
        if not text.strip():
            raise Transient("the model said nothing", dependency="model")
        if ended.stop is Stop.LENGTH:
            emit(BROKEN_OFF)
            text += BROKEN_OFF
        return text

    async def _streamed(
        self, prompt: Prompt, size: Size, ends_at: float, emit: Emit
    ) -> tuple[str, Ended]:
        pieces: list[str] = []
        chars = 0
        began = time.perf_counter()
        stream = self._models.of(size).stream(prompt, self._seconds("model", ends_at))
        async with contextlib.aclosing(stream) as parts:
            async for part in parts:
                if isinstance(part, Ended):
                    return "".join(pieces), part
                if not pieces:
                    self._meters.first_token(size.value).observe(time.perf_counter() - began)
                chars += len(part)
                if chars > self._max_chars:
                    raise Permanent("the model does not stop where it was told to")
                pieces.append(part)
                emit(part)
        raise Transient("the model broke off its answer", dependency="model")

    def _row(self, size: Size) -> Model:
        models = self._table.models
        return models.large if size is Size.LARGE else models.small

    def _seconds(self, segment: str, ends_at: float) -> float:
        """What a segment may take: its own budget, or what is left of the whole."""
        return max(0.0, min(self._budget.seconds(segment), ends_at - _now()))

    @contextlib.contextmanager
    def _timed(self, segment: str, making: Making) -> Iterator[None]:
        began = time.perf_counter()
        failure = ""
        is_given_up = False
        try:
            yield
        except MangaAssistError as error:
            failure = type(error).__name__
            raise
        except asyncio.CancelledError:
            is_given_up = True  # another search may follow, which counts
            raise
        finally:
            seconds = time.perf_counter() - began
            if not is_given_up:
                making.note(segment, began, failure)
            self._meters.segment_seconds(segment).observe(seconds)
            allowed = self._budget.segments.get(segment, float("inf")) / 1000
            if seconds >= allowed - TIMER_SECONDS:
                self._meters.budget_exceeded(segment).inc()


def _now() -> float:
    return asyncio.get_running_loop().time()
