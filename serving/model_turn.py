"""Questions that no precomputed answer fits, from the one round trip to the ladder's last step.

The kept response is read in that round trip, under a key that depends on what was said before: over
a connection that was read ahead. Elsewhere it is looked for as if the question began its session,
which Redis tells. Where nothing was found the model is asked (`serving/model_asking.py`), and an
event tells the session of the answer before it goes out.
"""

import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from adapters.redis_serving import Answered, Begun, First
from domain.answers import Damage
from domain.errors import MangaAssistError, Transient
from domain.events import QuestionTaken
from domain.questions import Question, QuestionKind
from serving.answers import Seen
from serving.asked import Asked
from serving.completing import Completed, CompletingTurn
from serving.context import TRENDING, Context
from serving.desk import Desk
from serving.exchange import Exchange, guarded
from serving.generating import SEGMENTS
from serving.kept_context import KeptContext
from serving.ladder import seen
from serving.model_asking import ModelAsking, completed
from serving.places import Place
from serving.tracing import Part
from serving.turn import in_a_row

if TYPE_CHECKING:
    from serving.model_turns import ModelPath

RESERVE_SECONDS = 0.03
"""What is kept of the time for choosing another answer and sending it."""
_NOTHING_MADE = tuple((name, 0.0) for name in SEGMENTS)


class ModelTurn(CompletingTurn):
    """One question that the model may have to answer."""

    __slots__ = ("asking", "context_from", "context_seconds", "is_new", "path", "taken")

    def __init__(
        self,
        path: "ModelPath",
        desk: Desk,
        exchange: Exchange,
        question: Question,
        event: QuestionTaken,
    ) -> None:
        super().__init__(desk, exchange, question, event)
        self.path = path
        self.taken = event
        emit = exchange.token if isinstance(exchange, Asked) else None
        self.asking = ModelAsking(path, desk, question, event, emit=emit, left=self._left)
        self.is_new = False
        """Whether it is taken for the first of its session, until Redis says otherwise."""
        self.context_from, self.context_seconds = math.inf, 0.0
        self.after = _NOTHING_MADE

    def serve(self, session_id: str, *, first: First | None = None) -> None:
        """Ask Redis, once it is known for what."""
        kept, is_chat = self._kept_context(), self.question.kind is QuestionKind.CHAT
        if kept is None:
            self.is_new = True
            key = self.asking.suppose_first()
            if is_chat:
                self._ask_for(key)
            super().serve(session_id, first=First.REQUIRE if is_chat else First.TELL)
        elif not is_chat:
            super().serve(session_id, first=first)
        elif kept.known is not None:
            self._look_up(kept.known)
        else:
            self.path.start(self._read_and_look_up(kept), self.exchange)

    def found(self, stored: Answered, is_fallback: bool) -> None:
        """Go on with what Redis had to say, and has said of the session."""
        if self.is_new and isinstance(stored, (Begun, Transient)):
            self.is_new = False
            self.asking.forget()
            self.place = self.desk.places.of(self.question)
        super().found(stored, is_fallback)

    def settle(self, stored: bytes | MangaAssistError | None, is_fallback: bool) -> None:
        """Respond with what is kept, or have an answer made."""
        is_found = type(stored) is bytes and not is_fallback
        if self.question.kind is not QuestionKind.CHAT:
            if is_found or (isinstance(stored, MangaAssistError) and self._was_seen()):
                super().settle(stored, is_fallback)
                return
        elif is_found and type(stored) is bytes:
            if self._give(stored):
                return
            stored, self.is_told = None, False
        self.path.start(self._make(stored, is_fallback), self.exchange)

    def _mend(self, key: str, damaged: bytes, damage: Damage) -> None:
        asked = self.asking.asked
        if asked is not None and key == asked.key:  # whatever is made next replaces it
            self.desk.meters.invalid(damage).inc()
        else:
            super()._mend(key, damaged, damage)

    def _was_seen(self) -> bool:
        return self.desk.seen.last(self.place.key, self.taken.occurred_at) is not None

    def parts(self) -> Iterator[Part]:
        """The segments of the one round trip, and those of making an answer."""
        before = tuple(segment for segment in self.before if segment[0] != "context")
        context = Part("context", self.context_from, self.context_from + self.context_seconds)
        yield from in_a_row(before, self.started, min(self.asked_at, context.began))
        yield context
        yield Part("redis", self.asked_at, self.answered_at)
        yield from self.asking.making.parts

    # --- what is known before ---

    def _kept_context(self) -> KeptContext | None:
        """What is read ahead of the questions of a connection."""
        return self.exchange.context if isinstance(self.exchange, Asked) else None

    async def _read_and_look_up(self, kept: KeptContext) -> None:
        context = await kept.ready()
        guarded(lambda: self._look_up(context), self.route, self.exchange, self.desk.meters.refused)

    def _look_up(self, context: Context) -> None:
        self.asking.understand(context)
        asked = self.asking.asked
        self._ask_for(asked.key if asked is not None else None)
        self.context_from, self.asked_at = self.asked_at, time.perf_counter()
        self.context_seconds = self.asked_at - self.context_from
        super().serve(self.taken.session_id)

    def _ask_for(self, key: str | None) -> None:
        if key is not None:
            generic = self.place.fallback
            self.place = Place(key, self.place.fallback_key, generic, generic)

    async def _read(self) -> Context:
        """What is known before a question that was asked of Redis without it."""
        self.context_from = time.perf_counter()
        kept, taken = self._kept_context(), self.taken
        if kept is not None:
            context = await kept.ready()
        else:
            context = await self.path.contexts.read(
                taken.session_id, taken.owner, is_new=self.is_new
            )
        self.context_seconds = time.perf_counter() - self.context_from
        return context

    # --- the answer ---

    def _give(self, stored: bytes) -> bool:
        """Respond with these bytes, if they are the kept response."""
        given = self.asking.found(stored)
        if given is None:
            return False
        self._conclude(completed(given.response, given.source))
        return True

    async def _make(self, stored: bytes | MangaAssistError | None, is_fallback: bool) -> None:
        best = await self._best(stored, is_fallback)
        seconds = self.asking.making.seconds
        self.after = tuple((name, seconds.get(name, 0.0)) for name in SEGMENTS)
        guarded(lambda: self._conclude(best), self.route, self.exchange, self.desk.meters.refused)

    async def _best(self, stored: bytes | MangaAssistError | None, is_fallback: bool) -> Completed:
        """The answer of the first rung that has one."""
        for rung in self.path.ladder.rungs:
            match rung:
                case "fresh":
                    if (fresh := await self.asking.fresh(self._read)) is not None:
                        return fresh
                case "previous":
                    if (previous := await self._previous()) is not None:
                        return previous
                case "found" | "trending":
                    if (titles := self._titles(rung)) is not None:
                        return Completed(titles, "fallback", rung)
                case "generic":
                    answer, source = self.choose(stored, is_fallback)
                    if answer.stored:
                        return Completed(answer, source, rung)
        return Completed(self.desk.built_in.get(self.question.locale), "fallback", "canned")

    async def _previous(self) -> Completed | None:
        seconds = min(self.desk.redis_seconds, self._left())
        response = await self.path.ladder.previous(self.asking.asked, seconds)
        if response is None:
            return None
        return Completed(seen(response), "stale", "previous", response.answer_id)

    def _titles(self, rung: Literal["found", "trending"]) -> Seen | None:
        """A ready sentence with the titles that search found, or that draw attention now."""
        now, locale = self.desk.clock(), self.question.locale
        if rung == "found":
            return self.path.ladder.found(self.asking.making.hits, locale, now)
        body = self.asking.trending
        if not body and (last := self.desk.seen.last(TRENDING.redis_key(), now)) is not None:
            body = last.body
        return self.path.ladder.trending(body, locale, now)

    def _left(self) -> float:
        """What is left of the time, but for what it takes to respond."""
        total = self.path.budgets.routes["chat"].total_ms / 1000
        return total - (time.perf_counter() - self.started) - RESERVE_SECONDS

    # --- the end ---

    def _conclude(self, best: Completed) -> None:
        """Respond, once the session is told what."""
        self.before = (*self.before, ("context", self.context_seconds))
        self.remark = f', rung;desc="{best.rung}"'
        self.path.meters.rungs(best.rung).inc()
        self._complete(best)
