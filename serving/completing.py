"""Tells the session, by an event, what was answered to a question that was taken before.

Nobody waits for another trip to Redis: a copy on local disk outlives this process, and is sent
where the outbox turns out not to have the event (`workers/copy_watching.py`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from domain.answers import PREVIEW_CHARS
from domain.errors import Transient
from domain.event_ids import event_id_of_completion
from domain.events import (
    AnswerCompleted,
    AnswerUnkept,
    Event,
    QuestionTaken,
    RecommendationServed,
)
from domain.questions import Question
from serving.answers import Seen, Source
from serving.desk import Desk
from serving.exchange import Exchange, guarded
from serving.frames import AnswerText
from serving.turn import Turn


@dataclass(frozen=True, slots=True)
class Completed:
    """The answer, where it comes from, and the step of the ladder that gave it.

    `answer_id` names it where it is the model's.
    """

    answer: Seen
    source: Source
    rung: str
    answer_id: str = ""


class CompletingTurn(Turn):
    """A turn whose answer may be found after the outbox has the question."""

    __slots__ = ("is_told", "rung")

    def __init__(
        self,
        desk: Desk,
        exchange: Exchange,
        question: Question,
        event: QuestionTaken | RecommendationServed,
    ) -> None:
        super().__init__(desk, exchange, question, event)
        self.is_told = False
        """Whether the outbox has the answer beside the question."""
        self.rung = ""

    def _copy(self, stored: bytes | None, is_fallback: bool) -> None:
        self.is_told = stored is not None and not is_fallback
        super()._copy(stored, is_fallback)

    def rung_of(self, answer: Seen, source: Source) -> str:
        """The rung that gave the answer; of a turn that was not completed, what the source says."""
        return self.rung or super().rung_of(answer, source)

    def _complete(self, completed: Completed) -> None:
        """Respond, once the session is told what; a page has none."""
        answer, source = completed.answer, completed.source
        self.rung = completed.rung
        if self.is_told or not isinstance(self.event, QuestionTaken):
            self.respond(answer, source)
            return

        def respond() -> None:
            guarded(
                lambda: self.respond(answer, source),
                self.route,
                self.exchange,
                self.desk.meters.refused,
            )

        tell(self.desk, self.event, completed, respond)


class _Body(msgspec.Struct):
    answer: AnswerText


def tell(desk: Desk, taken: QuestionTaken, completed: Completed, done: Callable[[], None]) -> None:
    """Hand the event over; `done` is called once it would outlive this process."""
    event = AnswerCompleted(
        event_id=event_id_of_completion(taken.event_id),
        occurred_at=max(desk.clock(), taken.occurred_at),
        producer=desk.producer.name,
        seq=desk.producer.next(),
        traceparent=taken.traceparent,
        asked_event_id=taken.event_id,
        asked_at=taken.occurred_at,
        session_id=taken.session_id,
        owner=taken.owner,
        message_id=taken.message_id,
        question=taken.question,
        locale=taken.locale,
        answer_preview=_text_of(completed.answer)[:PREVIEW_CHARS],
        source=completed.source,
        rung=completed.rung,
        answer_id=completed.answer_id,
    )
    encoded = desk.producer.encode(event)
    _hand_over(desk, taken.session_id, AnswerCompleted, encoded)
    desk.sink.copy((encoded,), done)


def have_checked(desk: Desk, taken: QuestionTaken, encoded: bytes) -> None:
    """Hand an `AnswerUnkept` over."""
    _hand_over(desk, taken.session_id, AnswerUnkept, encoded)


def _hand_over(desk: Desk, session_id: str, event_type: type[Event], encoded: bytes) -> None:
    def written(outcomes: Sequence[Transient | None]) -> None:
        if outcomes[0] is not None:
            desk.sink.keep(event_type.type, (encoded,), _nothing, is_audited=event_type.is_audited)

    desk.stock.append([(session_id, encoded)], desk.redis_seconds, written)


def _text_of(answer: Seen) -> str:
    return msgspec.json.decode(answer.body + b"}", type=_Body).answer.text


def _nothing(_is_kept: bool) -> None:
    """What is not kept now leaves the turn without an answer, or an answer unchecked."""
