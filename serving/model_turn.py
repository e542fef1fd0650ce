"""Questions that no precomputed answer fits: a kept response, else one that the model makes.

A turn has the one round trip of every question. The kept response is read in it, under a key that
depends on what was said before: over a connection that was read ahead, elsewhere read first. Where
nothing was found the model is asked, and an event tells the session of the answer before it goes
out.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from config.budgets import Budgets
from domain.answers import Answer, AnswerKey, Damage
from domain.errors import MangaAssistError
from domain.events import QuestionTaken
from domain.model_answers import NOTHING_KNOWN, Background, background
from domain.questions import Question, QuestionKind
from domain.response_cache import Asked as AskedResponse
from domain.response_cache import Generated
from serving.answers import Seen, Source
from serving.asked import Asked
from serving.completing import CompletingTurn, have_checked
from serving.context import Context
from serving.desk import Desk
from serving.exchange import Exchange, guarded, refuse
from serving.flights import Emit, Flight
from serving.generating import SEGMENTS, Generating, Making, Wish
from serving.generation_meters import GenerationMeters
from serving.ladder import Ladder, made, seen
from serving.places import Place
from serving.problems import internal_error
from serving.response_cache import ResponseCache
from serving.response_scope import KIND, ResponseScope
from serving.similar_questions import SimilarQuestions
from serving.spending import Allowances
from serving.tracing import Part

log = logging.getLogger(__name__)

RESERVE_SECONDS = 0.03
"""What is kept of the time for choosing another answer and sending it."""
_NOTHING_MADE = tuple((name, 0.0) for name in SEGMENTS)

UNGUESSABLE_CHARS = 22
"""128 random bits in letters. Who is not signed in may have guessed a shorter session id: what was
said in such a session goes into no prompt."""

NO_ANSWER = "NoAnswer"
"""The failure of a segment that nobody waited for any longer, or that had no answer to give."""

MAX_MAKING = 512
"""Questions that wait for an answer to be made, in one process; beyond that the ladder answers."""


class ReadsContexts(Protocol):
    """Reads what is known before a question; see `serving/context.py`."""

    async def read(self, session_id: str, user: str) -> Context:
        """What is known, as far as it could be read."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPath:
    """What the turns of one process share."""

    generating: Generating
    cache: ResponseCache
    contexts: ReadsContexts
    scope: ResponseScope
    ladder: Ladder
    budgets: Budgets
    history_turns: int
    meters: GenerationMeters
    allowances: Allowances
    similar: SimilarQuestions | None
    """Finds the reviewed question that asks the same, where that is switched on."""
    under_way: set[asyncio.Task[None]]
    alone: set[asyncio.Task[Generated]] = field(default_factory=set)
    """Answers being made that nobody shares."""

    def open(
        self, desk: Desk, exchange: Exchange, question: Question, event: QuestionTaken
    ) -> "ModelTurn":
        """The turn of this question."""
        return ModelTurn(self, desk, exchange, question, event)

    def start(self, steps: Coroutine[None, None, None], exchange: Exchange) -> None:
        """Go on in the background, until the client leaves."""
        task = asyncio.create_task(_answered(steps, exchange), name="answer of the model")
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)
        if exchange.trace is not None:
            task.add_done_callback(exchange.trace.done)
        exchange.when_abandoned(task.cancel)

    async def close(self) -> None:
        """Stop what is under way."""
        for task in self.under_way:
            task.cancel()
        await asyncio.gather(*self.under_way, return_exceptions=True)
        if self.similar is not None:
            await self.similar.close()
        await self.cache.close()


class ModelTurn(CompletingTurn):
    """One question that the model may have to answer."""

    __slots__ = ("asked", "known", "making", "path", "taken", "words")

    def __init__(
        self,
        path: ModelPath,
        desk: Desk,
        exchange: Exchange,
        question: Question,
        event: QuestionTaken,
    ) -> None:
        super().__init__(desk, exchange, question, event)
        self.path = path
        self.taken = event
        self.words = event.question
        """What is put to the model: the question, or the reviewed one that asks the same."""
        self.known: Background | None = None
        self.asked: AskedResponse | None = None
        self.making = Making()
        self.after = _NOTHING_MADE

    def serve(self, session_id: str) -> None:
        """Ask Redis, once it is known for what."""
        if self.question.kind is not QuestionKind.CHAT:
            super().serve(session_id)
            return
        context = self._ahead()
        if context is not None:
            self._look_up(context)
        else:
            self.path.start(self._read_and_look_up(), self.exchange)

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
        if self.asked is not None and key == self.asked.key:  # whatever is made next replaces it
            self.desk.meters.invalid(damage).inc()
        else:
            super()._mend(key, damaged, damage)

    def _was_seen(self) -> bool:
        return self.desk.seen.last(self.place.key, self.taken.occurred_at) is not None

    def parts(self) -> Iterator[Part]:
        """The segments of the one round trip, and those of making an answer."""
        yield from super().parts()
        yield from self.making.parts

    # --- what is known before ---

    def _ahead(self) -> Context | None:
        """What was read ahead of the question."""
        kept = self.exchange.context if isinstance(self.exchange, Asked) else None
        return None if kept is None else kept.known

    async def _read(self) -> Context:
        kept = self.exchange.context if isinstance(self.exchange, Asked) else None
        if kept is not None:
            return await kept.ready()
        return await self.path.contexts.read(self.taken.session_id, self.taken.owner)

    async def _read_and_look_up(self) -> None:
        context = await self._read()
        guarded(lambda: self._look_up(context), self.route, self.exchange, self.desk.meters.refused)

    def _look_up(self, context: Context) -> None:
        self._understand(context)
        if self.asked is not None:
            generic = self.place.fallback
            self.place = Place(self.asked.key, self.place.fallback_key, generic, generic)
        now = time.perf_counter()
        self.before = (*self.before, ("context", now - self.asked_at))
        self.asked_at = now
        super().serve(self.taken.session_id)

    def _understand(self, context: Context) -> None:
        known = background(
            context.session,
            self.taken.event_id,
            self.path.history_turns,
            context.preferences,
            context.recent,
        )
        known = replace(known, is_sure=context.is_sure)
        if not self.taken.owner and len(self.taken.session_id) < UNGUESSABLE_CHARS:
            known = known.without_talk()
        self.asked, self.known = self.path.scope.asked(
            self.question, self.taken.question, self.taken.owner, known
        )

    # --- the answer ---

    def _give(self, stored: bytes) -> bool:
        """Respond with these bytes, if they are the kept response."""
        if self.asked is None:
            return False

        def compute(emit: Emit) -> Coroutine[None, None, Generated]:
            return self._generate(emit, Making())

        given = self.path.cache.found(self.asked, stored, compute, self._emit())
        if given is None:
            return False
        self._conclude(seen(given.response), given.source, _rung_of(given.source))
        return True

    async def _make(self, stored: bytes | MangaAssistError | None, is_fallback: bool) -> None:
        answer, source, rung = await self._best(stored, is_fallback)
        self.after = tuple((name, self.making.seconds.get(name, 0.0)) for name in SEGMENTS)
        guarded(
            lambda: self._conclude(answer, source, rung),
            self.route,
            self.exchange,
            self.desk.meters.refused,
        )

    async def _best(
        self, stored: bytes | MangaAssistError | None, is_fallback: bool
    ) -> tuple[Seen, Source, str]:
        """The answer of the first rung that has one."""
        for rung in self.path.ladder.rungs:
            match rung:
                case "fresh":
                    if (fresh := await self._fresh()) is not None:
                        return *fresh, _rung_of(fresh[1])
                case "previous":
                    seconds = min(self.desk.redis_seconds, self._left())
                    previous = await self.path.ladder.previous(self.asked, seconds)
                    if previous is not None:
                        return previous, "stale", rung
                case "found":
                    now, hits = self.desk.clock(), self.making.hits
                    found = self.path.ladder.found(hits, self.question.locale, now)
                    if found is not None:
                        return found, "fallback", rung
                case "generic":
                    answer, source = self.choose(stored, is_fallback)
                    if answer.stored:
                        return answer, source, rung
        return self.desk.built_in.get(self.question.locale), "fallback", "canned"

    async def _fresh(self) -> tuple[Seen, Source] | None:
        """The response that is kept or made in time; None where there is none."""
        if len(self.path.under_way) > MAX_MAKING:
            return None
        try:
            if self.known is None:
                self._understand(await self._read())
            await self._liken()
            if not self._may_spend():
                return await self._kept()
            return await (self._shared() if self.asked is not None else self._alone())
        except MangaAssistError as error:
            log.info("a question could not be answered: %s", error)
        except Exception:  # whatever it is, whoever waits gets another answer
            log.exception("a question could not be answered")
        return None

    async def _liken(self) -> None:
        """Ask a reviewed question instead, where one is sure to have the same answer."""
        similar, asked = self.path.similar, self.asked
        if similar is None or asked is None:
            return
        locale = self.question.locale
        found = await similar.match(self.taken.question, locale, asked.scope)
        if found is None:
            return
        reviewed, used = self.path.scope.asked(
            self.question, found, self.taken.owner, NOTHING_KNOWN
        )
        if reviewed is not None and reviewed.scope.is_public and reviewed.key != asked.key:
            self.asked, self.known, self.words = reviewed, used, found

    def _may_spend(self) -> bool:
        """Whether the model may be asked for this question; to share what is made costs nothing."""
        path = self.path
        if self.asked is not None and path.cache.is_making(self.asked):
            return True
        making = path.cache.under_way + len(path.alone)
        refusal = path.allowances.refusal(self.taken.owner, making)
        if refusal is not None:
            path.generating.refused(self.taken.question, refusal)
        return refusal is None

    async def _kept(self) -> tuple[Seen, Source] | None:
        """The response that is there; the question of a kind of its own was not looked up so."""
        if self.asked is None:
            return None
        kept = await self.path.cache.kept(self.asked, min(self.desk.redis_seconds, self._left()))
        if kept is None:
            return None
        return seen(kept), "stale" if kept.is_stale(self.desk.clock()) else "cache"

    async def _shared(self) -> tuple[Seen, Source] | None:
        if self.asked is None:
            return None
        began = time.perf_counter()
        given = await self.path.cache.answer(
            self.asked,
            lambda emit: self._generate(emit, self.making),
            self._patience(),
            self._emit(),
            streaming_seconds=self._streaming(),
            ahead=lambda: self.path.generating.look(self._wish(), self.making),
        )
        # Who waits for what another one asked for waits for the model all the same.
        self.making.note("model", began, NO_ANSWER if given is None else "")
        if given is None:
            return None
        if self.path.similar is not None and self.words != self.taken.question:
            self.path.similar.compare(given.response, self._as_worded)
        return seen(given.response), given.source

    async def _alone(self) -> tuple[Seen, Source] | None:
        """An answer that is nobody else's, and is kept nowhere."""
        flight, began = Flight[Generated](), time.perf_counter()
        task = flight.depart(self._generate(flight.broadcast.emit, self.making), "answer of one")
        self.path.alone.add(task)
        task.add_done_callback(self.path.alone.discard)
        try:
            generated = await flight.join(self._patience(), self._emit(), self._streaming())
        finally:
            task.cancel()
        if generated is None:
            self.making.note("model", began, NO_ANSWER)
            return None
        taken = self.taken
        nobodys = self.path.scope.of_one_turn(self.question, taken.question, taken.event_id)
        to_check = self.path.cache.to_check(nobodys, generated)
        if to_check is not None:
            have_checked(self.desk, taken, to_check)
        text = generated.text.encode("utf-8", "replace").decode()
        answer = Answer(AnswerKey(KIND, "", self.question.locale), text, generated.items)
        return made(answer, self.desk.clock()), "model"

    async def _generate(self, emit: Emit, making: Making) -> Generated:
        return await self._made(self._wish(), emit, making)

    async def _as_worded(self, emit: Emit) -> Generated:
        """The model's own answer to a question that was given another one's."""
        wish = Wish(question=self.taken.question, locale=self.question.locale)
        return await self._made(wish, emit, Making())

    async def _made(self, wish: Wish, emit: Emit, making: Making) -> Generated:
        seconds = self.path.budgets.routes["generation"].total_ms / 1000
        return await self.path.generating.make(wish, seconds, emit, making)

    def _wish(self) -> Wish:
        return Wish(
            question=self.words,
            locale=self.question.locale,
            known=self.known or NOTHING_KNOWN,
        )

    def _emit(self) -> Emit | None:
        """Where the pieces of the answer go; None where only the whole of it can."""
        return self.exchange.token if isinstance(self.exchange, Asked) else None

    def _left(self) -> float:
        """What is left of the time, but for what it takes to respond."""
        total = self.path.budgets.routes["chat"].total_ms / 1000
        return total - (time.perf_counter() - self.started) - RESERVE_SECONDS

    def _patience(self) -> float:
        """How long to wait for an answer that is being made."""
        chat = self.path.budgets.routes["chat"]
        return max(0.0, min(chat.seconds("search") + chat.seconds("model"), self._left()))

    def _streaming(self) -> float:
        return self.path.budgets.routes["generation"].total_ms / 1000

    # --- the end ---

    def _conclude(self, answer: Seen, source: Source, rung: str) -> None:
        """Respond, once the session is told what."""
        self.remark = f', rung;desc="{rung}"'
        self.path.meters.rungs(rung).inc()
        self._complete(answer, source, rung)


async def _answered(steps: Coroutine[None, None, None], exchange: Exchange) -> None:
    try:
        await steps
    except Exception:  # the edge of a background task: the client gets no stack trace
        log.exception("a question failed")
        refuse(exchange, internal_error())


def _rung_of(source: Source) -> str:
    return "stale" if source == "stale" else "fresh"
