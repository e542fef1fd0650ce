"""One question on its way to the model: what it depends on, who makes the answer, and for whom.

Knows no round trip and no response: `serving/model_turn.py` has both.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from domain.errors import MangaAssistError
from domain.events import QuestionTaken
from domain.model_answers import NOTHING_KNOWN, Background, background
from domain.questions import Question
from domain.response_cache import Asked, Generated, StoredResponse
from domain.search import Hit
from domain.sessions import is_anybodys
from serving.answers import Source
from serving.completing import Completed, have_checked
from serving.context import Context
from serving.desk import Desk
from serving.flights import Emit, Flight
from serving.generating import Making, Wish
from serving.ladder import seen
from serving.response_cache import Given

if TYPE_CHECKING:
    from serving.model_turns import ModelPath

log = logging.getLogger(__name__)

NO_ANSWER = "NoAnswer"
"""The failure of a segment that nobody waited for any longer, or that had no answer to give."""

MAX_MAKING = 512
"""Questions that wait for an answer to be made, in one process; beyond that the ladder answers."""


class ModelAsking:
    """What is known of one question, and the ways to an answer of the model's."""

    __slots__ = (
        "_desk", "_emit", "_is_leading", "_left", "_path", "_question", "_taken", "_words",
        "asked", "known", "making", "trending",
    )  # fmt: skip

    def __init__(
        self,
        path: "ModelPath",
        desk: Desk,
        question: Question,
        taken: QuestionTaken,
        *,
        emit: Emit | None,
        left: Callable[[], float],
    ) -> None:
        """`emit` takes the pieces of the answer, where they can be shown; `left` is the time."""
        self._path = path
        self._desk = desk
        self._question = question
        self._taken = taken
        self._words = taken.question
        """What is put to the model: the question, or the reviewed one that asks the same."""
        self._emit = emit
        self._left = left
        self._is_leading = False
        """Whether the making of a shared answer began here."""
        self.known: Background | None = None
        self.asked: Asked | None = None
        self.making = Making()
        self.trending = b""

    # --- what it depends on ---

    def understand(self, context: Context) -> None:
        """Decide what the answer is made from, and who else may be given it."""
        self.trending = context.trending
        known = background(
            context.session,
            self._taken.event_id,
            self._path.history_turns,
            context.preferences,
            context.recent,
        )
        self._scope(replace(known, tastes=context.tastes, is_sure=context.is_sure))

    def suppose_first(self) -> str | None:
        """The same as if the question were the first of its session: the key of its response.

        None where that depends on who asks.
        """
        self._scope(NOTHING_KNOWN)
        if self.asked is not None and self.asked.scope.is_public:
            return self.asked.key
        self.forget()
        return None

    def forget(self) -> None:
        """Know nothing of what it depends on any more."""
        self.asked = self.known = None

    def _scope(self, known: Background) -> None:
        taken = self._taken
        if is_anybodys(taken.session_id, taken.owner):
            known = known.without_talk()  # what was said there goes into no prompt
        self.asked, self.known = self._path.scope.asked(
            self._question, taken.question, taken.owner, known
        )

    # --- the answer ---

    def found(self, stored: bytes) -> Given | None:
        """The kept response in these bytes, if they are it."""
        if self.asked is None:
            return None

        def compute(emit: Emit) -> Coroutine[None, None, Generated]:
            return self._made(self._wish(), emit, Making())

        return self._path.cache.found(self.asked, stored, compute, self._emit)

    async def fresh(self, read: Callable[[], Awaitable[Context]]) -> Completed | None:
        """The response that is kept or made in time; None where there is none.

        `read` tells what is known before, where that is not understood yet.
        """
        if len(self._path.under_way) > MAX_MAKING:
            return None
        try:
            if self.known is None:
                if self._path.allowances.affords(self._taken.owner, self._making()):
                    self._look()  # meanwhile; most questions need no other titles for what was said
                self.understand(await read())
            await self._liken()
            if not self._may_spend():
                return await self._kept()
            return await (self._shared() if self.asked is not None else self._alone())
        except MangaAssistError as error:
            log.info("a question could not be answered: %s", error)
        except Exception:  # whatever it is, whoever waits gets another answer
            log.exception("a question could not be answered")
        finally:
            if not self._is_leading:
                self.making.give_up()
        return None

    async def _liken(self) -> None:
        """Ask a reviewed question instead, where one is sure to have the same answer."""
        similar, asked = self._path.similar, self.asked
        if similar is None or asked is None:
            return
        locale = self._question.locale
        found = await similar.match(self._taken.question, locale, asked.scope)
        if found is None:
            return
        reviewed, used = self._path.scope.asked(
            self._question, found, self._taken.owner, NOTHING_KNOWN
        )
        if reviewed is not None and reviewed.scope.is_public and reviewed.key != asked.key:
            self.asked, self.known, self._words = reviewed, used, found

    def _may_spend(self) -> bool:
        """Whether the model may be asked for this question; to share what is made costs nothing."""
        path = self._path
        if self.asked is not None and path.cache.is_making(self.asked):
            return True
        refusal = path.allowances.refusal(self._taken.owner, self._making())
        if refusal is not None:
            path.generating.refused(self._taken.question, refusal)
        return refusal is None

    def _making(self) -> int:
        """How many answers are being made now."""
        return self._path.cache.under_way + len(self._path.alone)

    async def _kept(self) -> Completed | None:
        """The response that is there; the question of a kind of its own was not looked up so."""
        if self.asked is None:
            return None
        seconds = min(self._desk.redis_seconds, self._left())
        kept = await self._path.cache.kept(self.asked, seconds)
        if kept is None:
            return None
        return completed(kept, "stale" if kept.is_stale(self._desk.clock()) else "cache")

    async def _shared(self) -> Completed | None:
        if self.asked is None:
            return None
        began = time.perf_counter()

        def compute(emit: Emit) -> Coroutine[None, None, Generated]:
            self.making.note("lease", began)
            return self._made(self._wish(), emit, self.making)

        given = await self._path.cache.answer(
            self.asked,
            compute,
            self._patience(),
            self._emit,
            streaming_seconds=self._streaming(),
            ahead=self._lead,
        )
        # Who waits for what another one asked for waits for the model all the same.
        self.making.note("model", began, NO_ANSWER if given is None else "")
        if given is None:
            return None
        if self._path.similar is not None and self._words != self._taken.question:
            self._path.similar.compare(given.response, self._as_worded)
        return completed(given.response, given.source)

    async def _alone(self) -> Completed | None:
        """An answer that is nobody else's, and is kept nowhere."""
        flight, path, taken = Flight[Generated](), self._path, self._taken
        began = time.perf_counter()
        made = self._made(self._wish(), flight.broadcast.emit, self.making)
        task = flight.depart(made, "answer of one")
        path.alone.add(task)
        task.add_done_callback(path.alone.discard)
        try:
            generated = await flight.join(self._patience(), self._emit, self._streaming())
        finally:
            task.cancel()
        if generated is None:
            self.making.note("model", began, NO_ANSWER)
            return None
        nobodys = path.scope.of_one_turn(self._question, taken.question, taken.event_id)
        unkept = path.cache.unkept(nobodys, generated)
        have_checked(self._desk, taken, unkept.event)
        return completed(unkept.response, "model")

    # --- how it is made ---

    def _look(self) -> asyncio.Task[Sequence[Hit]]:
        return self._path.generating.look(self._wish(), self.making)

    def _lead(self) -> asyncio.Task[Sequence[Hit]]:
        self._is_leading = True
        return self._look()

    async def _as_worded(self, emit: Emit) -> Generated:
        """The model's own answer to a question that was given another one's."""
        wish = Wish(question=self._taken.question, locale=self._question.locale)
        return await self._made(wish, emit, Making())

    async def _made(self, wish: Wish, emit: Emit, making: Making) -> Generated:
        seconds = self._path.budgets.routes["generation"].total_ms / 1000
        return await self._path.generating.make(wish, seconds, emit, making)

    def _wish(self) -> Wish:
        return Wish(
            question=self._words,
            locale=self._question.locale,
            known=self.known or NOTHING_KNOWN,
        )

    def _patience(self) -> float:
        """How long to wait for an answer that is being made."""
        chat = self._path.budgets.routes["chat"]
        return max(0.0, min(chat.seconds("search") + chat.seconds("model"), self._left()))

    def _streaming(self) -> float:
        return self._path.budgets.routes["generation"].total_ms / 1000


def completed(response: StoredResponse, source: Source) -> Completed:
    """The response as the answer of a turn."""
    rung = "stale" if source == "stale" else "fresh"
    return Completed(seen(response), source, rung, response.answer_id)
