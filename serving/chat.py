"""POST /v1/chat: a question in, a stored answer out, its event handed over in the same trip.

What becomes of the question is a turn's (`serving/turn.py`), or that of a turn of its kind.
"""

import time
from copy import copy
from typing import Protocol, TypeVar

import msgspec

from domain.event_ids import event_id_of_message
from domain.events import AnswerServed, Locale, QuestionTaken
from domain.questions import Question, QuestionKind
from domain.sessions import is_anybodys
from serving.desk import Desk
from serving.exchange import Exchange, decoded, headers_of, new_id, require_json
from serving.known_messages import KnownMessages
from serving.meters import Meters
from serving.models import ChatRequest
from serving.outbox import Stock
from serving.problems import Misfit, not_fitting
from serving.tokens import Gate
from serving.tracing import UNTRACED, Tracing
from serving.turn import Turn

BODY_LIMIT = 64 * 1024
"""4,000 characters as JSON escapes of surrogate pairs are 48,000 bytes."""

MODEL_KINDS = frozenset({QuestionKind.CHAT, QuestionKind.TITLE})
"""What the model may have to answer: of titles only the most asked for have a stored answer."""

Taken = TypeVar("Taken", bound=AnswerServed)

_DECODER = msgspec.json.Decoder(ChatRequest)


class Classify(Protocol):
    """Tells what a question is about; in-process, takes microseconds."""

    def __call__(self, message: str, locale: Locale | None) -> Question:
        """The question understood."""
        ...


class OpensTurns(Protocol):
    """Opens the turns of questions of one kind: see `personal.py` and `model_turn.py`."""

    def __call__(
        self, desk: Desk, exchange: Exchange, question: Question, event: QuestionTaken
    ) -> Turn:
        """The turn of this question."""
        ...


class ChatRoute:
    """The hot route of questions.

    `personal` opens the turns whose answer is the asking user's own, `model` those that the model
    may have to answer.
    """

    name = "chat"
    method = b"POST"
    body_limit = BODY_LIMIT

    def __init__(
        self,
        desk: Desk,
        *,
        gate: Gate,
        classify: Classify,
        tracing: Tracing = UNTRACED,
        personal: OpensTurns | None = None,
        model: OpensTurns | None = None,
    ) -> None:
        self.desk = desk
        self.gate = gate
        self.classify = classify
        self.tracing = tracing
        self.personal = personal
        self.model = model
        self.known = KnownMessages()

    def handle(self, exchange: Exchange) -> None:
        """Answer the question in this request; raises Problem."""
        started = time.perf_counter()
        headers = headers_of(exchange)
        traceparent = self.tracing.begin(exchange, self.name, headers, started)
        caller = self.gate.caller(headers.get(b"authorization"))
        auth_seconds = time.perf_counter() - started
        require_json(headers)
        asked = decode(exchange.body)
        self.ask(
            exchange,
            asked,
            caller.user,
            traceparent=traceparent,
            started=started,
            auth_seconds=auth_seconds,
        )

    def ask(
        self,
        exchange: Exchange,
        asked: ChatRequest,
        owner: str,
        *,
        traceparent: str | None,
        started: float,
        auth_seconds: float,
    ) -> None:
        """Answer a question of this owner, however it came; raises Problem."""
        parsed = time.perf_counter()
        question = self.classify(asked.message, asked.locale)
        classified = time.perf_counter()
        turn = self._turn(exchange, asked, question, owner, traceparent)
        turn.route, turn.started, turn.asked_at = self.name, started, classified
        turn.before = (("auth", auth_seconds), ("classify", classified - parsed))
        turn.serve(asked.session_id)

    def _turn(
        self,
        exchange: Exchange,
        asked: ChatRequest,
        question: Question,
        owner: str,
        traceparent: str | None,
    ) -> Turn:
        if self.model is not None and question.kind in MODEL_KINDS:
            taken = self._event(QuestionTaken, asked, question, owner, traceparent)
            return self.model(self.desk, exchange, question, taken)
        if self.personal is not None and question.kind is QuestionKind.RECOMMENDATION and owner:
            taken = self._event(QuestionTaken, asked, question, owner, traceparent)
            return self.personal(self.desk, exchange, question, taken)
        event = self._event(AnswerServed, asked, question, owner, traceparent)
        return Turn(self.desk, exchange, question, event)

    def dry(self, stock: Stock, meters: Meters) -> "ChatRoute":
        """The same route with stand-ins for Redis and the metrics."""
        return ChatRoute(self.desk.dry(stock, meters), gate=self.gate, classify=self.classify)

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
        traceparent: str | None,
    ) -> Taken:
        event_id = self._event_id(asked, owner)
        producer = self.desk.producer
        return event_type(
            event_id=event_id,
            occurred_at=self.desk.clock(),
            producer=producer.name,
            seq=producer.next(),
            traceparent=traceparent,
            session_id=asked.session_id,
            owner=owner,
            message_id=asked.message_id or event_id,
            question=asked.message,
            kind=question.kind,
            slug=question.slug,
            locale=question.locale,
        )

    def _event_id(self, asked: ChatRequest, owner: str) -> str:
        if asked.message_id is None:
            return new_id()
        message = (owner, asked.session_id, asked.message_id)
        event_id = event_id_of_message(*message, asked.message)
        if not is_anybodys(asked.session_id, owner):
            self.known.require_same(*message, event_id)
        return event_id


def decode(body: bytes | bytearray) -> ChatRequest:
    """The request in these bytes; raises Problem."""
    asked = decoded(_DECODER, body)
    require_words(asked.message)
    return asked


def require_words(message: str) -> None:
    """Raises Problem for a message of nothing but white space."""
    if message.isspace():
        raise not_fitting(Misfit("#/message", "message is blank"))
