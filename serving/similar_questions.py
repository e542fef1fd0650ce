"""Lets a question share the response of a similar one, within the reviewed public set alone.

Off unless the table says otherwise. A sample of the matches is put to the model as well, in the
background; all processes count together how often the shared answer was another one, and share no
more once that is too often.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from config.response_cache import Similarity
from domain.errors import MangaAssistError, Transient
from domain.events import Locale
from domain.questions import Question
from domain.response_cache import Generated, Scope, StoredResponse, normalised
from domain.search import Embedder
from domain.similarity import Compared, Reviewed, Sense, SenseRules, likeness, overlap
from serving import response_store
from serving.response_store import Compute
from serving.similarity_meters import SimilarityMeters

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""How old what this process knows of the count may be."""
EMBED_SECONDS = 0.2
SHADOW_SECONDS = 30.0


Classify = Callable[[str, Locale], Question]
"""What a question is about."""


class Tally(Protocol):
    """The count of all processes; both raise Transient."""

    async def tally(
        self, *, is_wrong: bool, kept_seconds: float, seconds: float
    ) -> tuple[int, int]:
        """Count one comparison; how many there were, and how many were wrong."""
        ...

    async def tallied(self, seconds: float) -> tuple[int, int]:
        """How many comparisons there were, and how many were wrong."""
        ...


def rules_of(table: Similarity) -> SenseRules:
    """The declared words in the form in which questions are compared."""
    return SenseRules(
        free_en=frozenset(map(normalised, table.free_en)),
        free_ja=frozenset(map(normalised, table.free_ja)),
        same=table.same_en,
    )


class SimilarQuestions:
    """Finds the question of the reviewed set, each with its locale, that asks the same."""

    def __init__(
        self,
        *,
        table: Similarity,
        questions: Iterable[tuple[str, str]],
        embeds: Embedder,
        classify: Classify,
        tally: Tally,
        meters: SimilarityMeters,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._table = table
        self._questions = tuple(questions)
        self._rules = rules_of(table)
        self._embeds = embeds
        self._classify = classify
        self._tally = tally
        self._meters = meters
        self._clock = clock
        self._chance = chance
        self._reviewed: list[Reviewed] = []
        self._looked_at = float("-inf")
        self._compared: Compared | None = None
        self._shadow: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether similar questions may share an answer; not while their error rate is unknown."""
        known = self._compared
        return (
            self._table.enabled
            and known is not None
            and not known.is_too_wrong(self._table.max_false_hit_rate)
        )

    async def match(self, question: str, locale: Locale, scope: Scope) -> str | None:
        """The reviewed question whose response this one may be given; None for most."""
        if not self._table.enabled or not scope.is_public:
            return None
        await self._look()
        if not self.is_open:
            return None
        try:
            if not self._reviewed:
                self._reviewed = await self._learnt()
            vector = await self._embeds.embed(question, EMBED_SECONDS)
        except MangaAssistError as error:
            log.debug("a question could not be compared: %s", error)
            return None
        found, outcome = self._nearest(question, locale, vector)
        self._meters.answers(outcome).inc()
        return found

    def compare(self, given: StoredResponse, compute: Compute) -> None:
        """Put a share of the matched questions to the model too; one at a time in a process.

        `compute` asks the question as it was worded, not as it was reviewed.
        """
        if self._shadow is not None or self._chance() >= self._table.shadow_share:
            return
        task = self._shadow = asyncio.create_task(self._compare(given, compute), name="shadow")
        task.add_done_callback(self._forget)

    async def settled(self) -> None:
        """Wait for the comparison under way."""
        if self._shadow is not None:
            await self._shadow

    async def close(self) -> None:
        """Give up the comparison under way."""
        if self._shadow is not None:
            self._shadow.cancel()
            await asyncio.gather(self._shadow, return_exceptions=True)

    async def _learnt(self) -> list[Reviewed]:
        return [
            Reviewed(
                question,
                locale,
                Sense.of(question, self._rules),
                await self._embeds.embed(question, EMBED_SECONDS),
            )
            for locale, question in self._questions
        ]

    def _nearest(
        self, question: str, locale: Locale, vector: Sequence[float]
    ) -> tuple[str | None, str]:
        """The most alike of the same locale, unless something tells the two apart."""
        rivals = [
            (likeness(vector, one.vector), one) for one in self._reviewed if one.locale == locale
        ]
        alike = [rival for rival in rivals if rival[0] >= self._table.threshold]
        if not alike:
            return None, "different"
        sense, read = Sense.of(question, self._rules), self._classify(question, locale)
        for _, one in sorted(alike, key=lambda rival: -rival[0]):
            is_same = sense == one.sense and sense.says_enough
            if is_same and read == self._classify(one.question, locale):
                return one.question, "matched"
        return None, "gated"

    async def _compare(self, given: StoredResponse, compute: Compute) -> None:
        try:
            async with asyncio.timeout(SHADOW_SECONDS):
                own = await compute(_nobody)
            is_wrong = not await self._agree(given, own)
        except (MangaAssistError, TimeoutError):  # says nothing of the match
            self._meters.compared("failed").inc()
            return
        self._meters.compared("wrong" if is_wrong else "right").inc()
        try:
            kept_seconds = self._table.closed_hours * 3600
            self._note(
                await self._tally.tally(
                    is_wrong=is_wrong,
                    kept_seconds=kept_seconds,
                    seconds=response_store.STORE_SECONDS,
                )
            )
        except Transient as error:
            log.debug("a comparison was not counted: %s", error)

    async def _agree(self, given: StoredResponse, own: Generated) -> bool:
        """Whether two answers are the same: by their items, or else by their wording."""
        theirs = given.answer().get("items")
        given_ids = [_id_of(item) for item in theirs] if isinstance(theirs, list) else []
        own_ids = [_id_of(item) for item in own.items]
        if given.is_negative != own.is_negative:
            return False
        if given_ids or own_ids:
            return overlap(given_ids, own_ids) >= self._table.agreement
        one = await self._embeds.embed(given.text(), EMBED_SECONDS)
        other = await self._embeds.embed(own.text, EMBED_SECONDS)
        return likeness(one, other) >= self._table.agreement

    async def _look(self) -> None:
        if self._clock() - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = self._clock()
        try:
            self._note(await self._tally.tallied(response_store.STORE_SECONDS))
        except Transient as error:  # what is known stays; nothing known stays closed
            log.debug("the count of comparisons cannot be read: %s", error)

    def _note(self, counted: tuple[int, int]) -> None:
        was_open = self.is_open
        self._compared = compared = Compared(*counted)
        lower, upper = compared.interval()
        self._meters.rate(compared.rate, lower, upper, is_open=self.is_open)
        if was_open and not self.is_open:
            log.warning(
                "similar questions share no more answers: %d of %d were wrong (%.3f to %.3f)",
                compared.wrong,
                compared.number,
                lower,
                upper,
            )

    def _forget(self, _task: asyncio.Task[None]) -> None:
        self._shadow = None


def _id_of(item: object) -> str:
    return str(item.get("id", "")) if isinstance(item, dict) else ""


def _nobody(_piece: str) -> None:
    """Hears nothing."""
