"""POST /v1/chat: a question in, a stored answer out, its event handed over in the same trip.

Degrades and never fails for a dependency: fresh, stale, the answer seen last, the built-in one.
"""

import re
import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol, TypeVar

import msgspec

from adapters.redis_multiplexed import Late
from adapters.redis_serving import Answered, Begun, Complaint, First
from config.failpoints import Failpoint, reach
from domain.answers import AnswerKey, Damage, Damaged
from domain.errors import MangaAssistError, Refused, Transient
from domain.events import (
    AnswerServed,
    Locale,
    QuestionTaken,
    RecommendationServed,
    event_id_of_message,
)
from domain.questions import Question, QuestionKind
from serving.answers import BuiltInAnswers, Seen, SeenAnswers, Source, splice
from serving.exchange import (
    JSON_LINES,
    Exchange,
    decoded,
    guarded,
    headers_of,
    new_id,
    require_json,
)
from serving.mending import Mending
from serving.meters import Meters
from serving.models import ChatRequest
from serving.outbox import DrySink, EventSink, Producer, Stock
from serving.problems import forbidden, too_busy, unprocessable
from serving.tokens import Gate

OK = int(HTTPStatus.OK)  # reading a member of an enum takes as long as the rest of a header
BODY_LIMIT = 64 * 1024
"""4,000 characters as JSON escapes of surrogate pairs are 48,000 bytes."""

MODEL_KINDS = frozenset({QuestionKind.CHAT, QuestionKind.TITLE})
"""What the model may have to answer: of titles only the most asked for have a stored answer."""

Segments = tuple[tuple[str, float], ...]
Taken = TypeVar("Taken", bound=AnswerServed)

_TRACEPARENT = re.compile(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_DECODE = msgspec.json.Decoder(ChatRequest).decode


class Classify(Protocol):
    """Tells what a question is about; in-process, takes microseconds."""

    def __call__(self, message: str, locale: Locale | None) -> Question:
        """The question understood."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where the answer to a question lies, and what the event says it was about."""

    key: str
    fallback_key: str
    own: AnswerKey
    fallback: AnswerKey


class OpensTurns(Protocol):
    """Opens the turns of questions whose answer is the asking user's own."""

    def __call__(
        self, desk: "ChatRoute", exchange: Exchange, question: Question, event: QuestionTaken
    ) -> "Turn":
        """The turn of this question."""
        ...


class OpensModelTurns(Protocol):
    """Opens the turns of questions that the model may have to answer."""

    def __call__(
        self, desk: "ChatRoute", exchange: Exchange, question: Question, event: QuestionTaken
    ) -> "Turn":
        """The turn of this question."""
        ...


class ChatRoute:
    """The hot route of questions; also the desk with everything that any turn needs."""

    name = "chat"
    method = b"POST"
    body_limit = BODY_LIMIT

    def __init__(
        self,
        *,
        gate: Gate,
        classify: Classify,
        stock: Stock,
        sink: EventSink,
        producer: Producer,
        seen: SeenAnswers,
        mending: Mending,
        built_in: BuiltInAnswers,
        meters: Meters,
        redis_seconds: float,
        personal: OpensTurns | None = None,
        model: OpensModelTurns | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.personal = personal
        self.model = model
        self.gate = gate
        self.classify = classify
        self.stock = stock
        self.sink = sink
        self.producer = producer
        self.seen = seen
        self.mending = mending
        self.built_in = built_in
        self.meters = meters
        self.redis_seconds = redis_seconds
        self.clock = clock
        self._places: dict[tuple[str, str, Locale], Place] = {}

    def handle(self, exchange: Exchange) -> None:
        """Answer the question in this request; raises Problem."""
        started = time.perf_counter()
        headers = headers_of(exchange)
        caller = self.gate.caller(headers.get(b"authorization"))
        auth_seconds = time.perf_counter() - started
        require_json(headers)
        asked = decode(exchange.body)
        self.ask(
            exchange,
            asked,
            caller.user,
            traceparent=headers.get(b"traceparent"),
            started=started,
            auth_seconds=auth_seconds,
        )

    def ask(
        self,
        exchange: Exchange,
        asked: ChatRequest,
        owner: str,
        *,
        traceparent: bytes | None,
        started: float,
        auth_seconds: float,
    ) -> None:
        """Answer a question of this owner, however it came; raises Problem."""
        parsed = time.perf_counter()
        question = self.classify(asked.message, asked.locale)
        classified = time.perf_counter()
        turn = self._turn(exchange, asked, question, owner, traceparent)
        turn.started, turn.asked_at = started, classified
        turn.before = (("auth", auth_seconds), ("classify", classified - parsed))
        turn.serve(asked.session_id)

    def _turn(
        self,
        exchange: Exchange,
        asked: ChatRequest,
        question: Question,
        owner: str,
        traceparent: bytes | None,
    ) -> "Turn":
        if self.model is not None and question.kind in MODEL_KINDS:
            taken = self._event(QuestionTaken, asked, question, owner, traceparent)
            return self.model(self, exchange, question, taken)
        if self.personal is not None and question.kind is QuestionKind.RECOMMENDATION and owner:
            taken = self._event(QuestionTaken, asked, question, owner, traceparent)
            return self.personal(self, exchange, question, taken)
        event = self._event(AnswerServed, asked, question, owner, traceparent)
        return Turn(self, exchange, question, event)

    def dry(self, stock: Stock, meters: Meters) -> "ChatRoute":
        """The same route with stand-ins for Redis and the metrics."""
        twin = copy(self)
        twin.stock, twin.meters, twin.seen, twin.personal = stock, meters, SeenAnswers(), None
        twin.sink, twin.model = DrySink(), None
        twin.producer = Producer("warm-up", self.producer.encode)
        return twin

    def named(self, name: str) -> "ChatRoute":
        """The same route, measured under another name."""
        twin = copy(self)
        twin.name = name
        return twin

    def _event(
        self,
        event_type: type[Taken],
        asked: ChatRequest,
        question: Question,
        owner: str,
        traceparent: bytes | None,
    ) -> Taken:
        if asked.message_id is None:
            event_id = new_id()
        else:
            event_id = event_id_of_message(owner, asked.session_id, asked.message_id)
        return event_type(
            event_id=event_id,
            occurred_at=self.clock(),
            producer=self.producer.name,
            seq=self.producer.next(),
            traceparent=trace_of(traceparent),
            session_id=asked.session_id,
            owner=owner,
            message_id=asked.message_id or event_id,
            question=asked.message,
            kind=question.kind,
            slug=question.slug,
            locale=question.locale,
        )

    def place(self, question: Question) -> Place:
        """Where the answer lies; a question that has none of its own gets the fallback."""
        asked = (question.kind, question.slug, question.locale)
        place = self._places.get(asked)
        if place is None:
            fallback = AnswerKey("fallback", "", question.locale)
            is_chat = question.kind == QuestionKind.CHAT
            own = fallback if is_chat else AnswerKey(question.kind, question.slug, question.locale)
            fallback_key = fallback.redis_key()
            # Whether both are the same object is looked at later.
            key = fallback_key if is_chat else own.redis_key()
            place = Place(key, fallback_key, own, fallback)
            if len(self._places) >= 4 * 1024:
                self._places.clear()
            self._places[asked] = place
        return place


class Turn:
    """One question between its one round trip and its response."""

    __slots__ = (
        "after", "answered_at", "asked_at", "before", "desk", "encoded", "event", "exchange",
        "place", "question", "remark", "route", "started",
    )  # fmt: skip

    started: float
    asked_at: float
    answered_at: float
    before: Segments
    """The segments before Redis was asked, with their seconds; `after` are those behind it."""
    after: Segments
    remark: str
    """What else Server-Timing says, each entry behind a comma."""

    def __init__(
        self,
        desk: ChatRoute,
        exchange: Exchange,
        question: Question,
        event: AnswerServed | RecommendationServed,
    ) -> None:
        self.desk = desk
        self.route = desk.name
        self.exchange = exchange
        self.question = question
        self.event = event
        self.encoded = desk.producer.encode(event)
        self.place = desk.place(question)
        self.after = ()
        self.remark = ""

    def serve(self, session_id: str, *, first: First | None = None) -> None:
        """Ask Redis for the answer, and hand the event over with that."""
        reach(Failpoint.SERVING_BEFORE_REDIS)
        self.desk.stock.serve(
            answer_key=self.place.key,
            fallback_key=self.place.fallback_key,
            session_id=session_id,
            owner=self.event.owner,
            event=self.encoded,
            seconds=self.desk.redis_seconds,
            found=self.found,
            first=first,
        )

    def found(self, stored: Answered, is_fallback: bool) -> None:
        """Respond with what Redis had to say; what it did not write is kept elsewhere first."""
        self.answered_at = time.perf_counter()
        reach(Failpoint.SERVING_AFTER_REDIS)
        if type(stored) is bytes or stored is None:
            self._copy(stored, is_fallback)
        elif isinstance(stored, Complaint):
            self._complain(stored, is_fallback)
        elif isinstance(stored, Transient):
            if isinstance(stored, Late):
                self.desk.meters.budget_exceeded("redis").inc()
            self._keep(stored, is_fallback)
        elif isinstance(stored, Begun):
            self.found(stored.stored, is_fallback)
        else:  # somebody else's session
            self._finish(stored, is_fallback, is_kept=True)

    def _complain(self, complaint: Complaint, is_fallback: bool) -> None:
        for key in complaint.spoilt:
            self._mend(key, b"", Damage.WRONG_TYPE)
        if complaint.unwritten is not None:
            self._keep(complaint.stored, is_fallback)
        else:
            self._copy(complaint.stored, is_fallback)

    def _copy(self, stored: bytes | None, is_fallback: bool) -> None:
        self.desk.sink.copy(
            (self.encoded,), lambda: self._finish(stored, is_fallback, is_kept=True)
        )

    def _keep(self, stored: bytes | MangaAssistError | None, is_fallback: bool) -> None:
        self.desk.sink.keep(
            self.event.type,
            (self.encoded,),
            lambda is_kept: self._finish(stored, is_fallback, is_kept=is_kept),
            is_audited=self.event.is_audited,
        )

    def _mend(self, key: str, damaged: bytes, damage: Damage) -> None:
        place = self.place
        named = place.own if key == place.key else place.fallback
        self.desk.mending.report(named, damaged, damage)

    def _finish(
        self, stored: bytes | MangaAssistError | None, is_fallback: bool, *, is_kept: bool
    ) -> None:
        guarded(
            lambda: self._answer(stored, is_fallback, is_kept=is_kept),
            self.route,
            self.exchange,
            self.desk.meters.refused,
        )

    def _answer(
        self, stored: bytes | MangaAssistError | None, is_fallback: bool, *, is_kept: bool
    ) -> None:
        if isinstance(stored, Refused):
            raise forbidden(
                "the session belongs to another user, or was opened before signing in: "
                "open one with another session_id"
            )
        if not is_kept:
            raise too_busy("the question can't be taken note of at the moment, ask again")
        self.settle(stored, is_fallback)
        reach(Failpoint.SERVING_AFTER_RESPONSE)

    def settle(self, stored: bytes | MangaAssistError | None, is_fallback: bool) -> None:
        """Respond with the best answer there is, now or later."""
        self.respond(*self.choose(stored, is_fallback))

    def choose(
        self, stored: bytes | MangaAssistError | None, is_fallback: bool
    ) -> tuple[Seen, Source]:
        place, seen, now = self.place, self.desk.seen, self.event.occurred_at
        if type(stored) is bytes:
            key = place.fallback_key if is_fallback else place.key
            try:
                answer = seen.check(key, stored)
            except Damaged as error:  # as if it were not there
                self._mend(key, stored, error.damage)
            else:
                if key is place.fallback_key:
                    return answer, "fallback"
                return answer, "stale" if now > answer.soft_expires_at else "precomputed"
        elif isinstance(stored, MangaAssistError):
            last = seen.last(place.key, now)
            if last is not None:
                return last, "fallback" if place.key is place.fallback_key else "stale"
        last = seen.last(place.fallback_key, now)
        return last or self.desk.built_in.get(self.question.locale), "fallback"

    def respond(self, answer: Seen, source: Source) -> None:
        """Send the answer, with where it comes from and what took how long."""
        total_seconds = time.perf_counter() - self.started
        age = max(0.0, self.event.occurred_at - answer.generated_at)
        redis = ("redis", self.answered_at - self.asked_at)
        segments = (*self.before, redis, *self.after)
        event_id = self.event.event_id
        timing = ", ".join([f"{name};dur={seconds * 1000:.3f}" for name, seconds in segments])
        lines = (
            b"%bx-answer-source: %b\r\nx-event-id: %b\r\nserver-timing: %b, total;dur=%.3f%b\r\n"
        ) % (
            JSON_LINES,
            source.encode(),
            event_id.encode(),
            timing.encode(),
            total_seconds * 1000,
            self.remark.encode(),
        )
        self.exchange.respond(OK, lines, splice(answer, source, age, event_id))
        self._measure(source, age, (*self.before, redis), total_seconds)

    def _measure(
        self, source: Source, age: float, segments: Segments, total_seconds: float
    ) -> None:
        meters = self.desk.meters
        meters.requests(self.route, source).inc()
        meters.request_seconds(self.route).observe(total_seconds)
        for name, seconds in segments:
            meters.segment_seconds(name).observe(seconds)
        kind = "fallback" if source == "fallback" else self.question.kind
        meters.answer_age(kind).observe(age)


def decode(body: bytes | bytearray) -> ChatRequest:
    """The request in these bytes; raises Problem."""
    asked = decoded(_DECODE, body)
    require_words(asked.message)
    return asked


def require_words(message: str) -> None:
    """Raises Problem for a message of nothing but white space."""
    if message.isspace():
        raise unprocessable("the message is blank")


def trace_of(header: bytes | None) -> str | None:
    """The W3C trace context of a request, None for one that is malformed."""
    if header is None or not _TRACEPARENT.fullmatch(header):
        return None
    return header.decode()
