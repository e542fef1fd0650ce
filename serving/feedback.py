"""POST /v1/feedback: what a customer thinks of an answer, kept before it is confirmed.

The same opinion of the same answer is one event, however often it is sent.
"""

from collections.abc import Callable
from typing import Protocol

import msgspec

from adapters.redis_multiplexed import Late
from adapters.redis_serving_events import Noted
from domain.errors import Transient
from domain.event_ids import event_id_of_feedback
from domain.events import FeedbackGiven
from serving.exchange import Exchange, decoded
from serving.models import FeedbackReply, FeedbackRequest
from serving.noting import NotingDesk, NotingRequest
from serving.problems import forbidden, not_found, too_busy

BODY_LIMIT = 8 * 1024
"""500 characters of a comment as JSON escapes of surrogate pairs are 6,000 bytes."""

_DECODER = msgspec.json.Decoder(FeedbackRequest)


class OwnersOutbox(Protocol):
    """The outbox for events of whoever owns a session."""

    def note(
        self,
        session_id: str,
        owner: str,
        event: bytes,
        seconds: float,
        noted: Callable[[Noted | Transient], None],
    ) -> None:
        """Write an event if the session is the owner's; `noted` learns what became of it."""
        ...


class FeedbackRoute:
    """The route of opinions."""

    name = "feedback"
    method = b"POST"
    body_limit = BODY_LIMIT

    def __init__(self, desk: NotingDesk, outbox: OwnersOutbox) -> None:
        self._desk = desk
        self._outbox = outbox

    def handle(self, exchange: Exchange) -> None:
        """Keep the opinion in this request; raises Problem."""
        request = NotingRequest(self._desk, self.name, exchange)
        owner = request.caller(self._desk.gate.caller).user
        given = decoded(_DECODER, exchange.body)
        event = self._event(given, owner, request.trace)
        encoded = self._desk.producer.encode(event)
        request.asking()

        def noted(outcome: Noted | Transient) -> None:
            if outcome is Noted.WRITTEN:
                self._desk.sink.copy(
                    (encoded,), lambda: request.respond(lambda: _reply(event, outcome))
                )
                return
            if not isinstance(outcome, Transient):
                request.respond(lambda: _reply(event, outcome))
                return
            if isinstance(outcome, Late):
                request.late()
            # Whose session it is cannot be told now; the event says only who speaks.
            self._desk.sink.keep(
                event.type,
                (encoded,),
                lambda is_kept: request.respond(lambda: _reply(event, None, is_kept=is_kept)),
                is_audited=event.is_audited,
            )

        self._outbox.note(given.session_id, owner, encoded, self._desk.redis_seconds, noted)

    def _event(self, given: FeedbackRequest, owner: str, trace: str | None) -> FeedbackGiven:
        return FeedbackGiven(
            event_id=event_id_of_feedback(owner, given.event_id, given.signal),
            occurred_at=self._desk.clock(),
            producer=self._desk.producer.name,
            seq=self._desk.producer.next(),
            traceparent=trace,
            session_id=given.session_id,
            owner=owner,
            answer_event_id=given.event_id,
            signal=given.signal,
            comment=given.comment or "",
        )


def _reply(
    event: FeedbackGiven, outcome: Noted | None, *, is_kept: bool = True
) -> tuple[str, FeedbackReply]:
    if outcome is Noted.FOREIGN:
        raise forbidden("the session belongs to another user")
    if outcome is Noted.UNKNOWN:
        raise not_found("there is no such session")
    if not is_kept:
        raise too_busy("the feedback can't be taken note of at the moment, send it again")
    return event.event_id, FeedbackReply(event_id=event.event_id)
