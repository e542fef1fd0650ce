"""POST /v1/feedback: what a customer thinks of an answer, kept before it is confirmed.

The same opinion of the same answer is one event, however often it is sent.
"""

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol

import msgspec

from adapters.redis_multiplexed import Late
from adapters.redis_serving_events import Noted
from domain.errors import Transient
from domain.events import FeedbackGiven, event_id_of_feedback
from serving.chat import trace_of
from serving.exchange import JSON_LINES, Exchange, decoded, guarded, headers_of, require_json
from serving.meters import Meters
from serving.models import FeedbackReply, FeedbackRequest
from serving.outbox import EventSink, Producer
from serving.problems import forbidden, not_found, too_busy
from serving.tokens import Gate

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

    def __init__(
        self,
        *,
        gate: Gate,
        outbox: OwnersOutbox,
        sink: EventSink,
        producer: Producer,
        meters: Meters,
        redis_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._gate = gate
        self._outbox = outbox
        self._sink = sink
        self._producer = producer
        self._meters = meters
        self._redis_seconds = redis_seconds
        self._clock = clock

    def handle(self, exchange: Exchange) -> None:
        """Keep the opinion in this request; raises Problem."""
        started = time.perf_counter()
        headers = headers_of(exchange)
        owner = self._gate.caller(headers.get(b"authorization")).user
        auth_seconds = time.perf_counter() - started
        require_json(headers)
        given = decoded(_DECODER, exchange.body)
        event = self._event(given, owner, trace_of(headers.get(b"traceparent")))
        encoded = self._producer.encode(event)
        asked = time.perf_counter()

        def finish(outcome: Noted | None, *, is_kept: bool = True) -> None:
            now = time.perf_counter()
            timing = (auth_seconds, now - asked, now - started)
            guarded(
                lambda: self._respond(exchange, event, outcome, timing, is_kept=is_kept),
                self.name,
                exchange,
                self._meters.refused,
            )

        def noted(outcome: Noted | Transient) -> None:
            if outcome is Noted.WRITTEN:
                self._sink.copy((encoded,), lambda: finish(outcome))
                return
            if not isinstance(outcome, Transient):
                finish(outcome)
                return
            if isinstance(outcome, Late):
                self._meters.budget_exceeded("redis").inc()
            # Whose session it is cannot be told now; the event says only who speaks.
            self._sink.keep(
                event.type,
                (encoded,),
                lambda is_kept: finish(None, is_kept=is_kept),
                is_audited=event.is_audited,
            )

        self._outbox.note(given.session_id, owner, encoded, self._redis_seconds, noted)

    def _event(self, given: FeedbackRequest, owner: str, trace: str | None) -> FeedbackGiven:
        return FeedbackGiven(
            event_id=event_id_of_feedback(owner, given.event_id, given.signal),
            occurred_at=self._clock(),
            producer=self._producer.name,
            seq=self._producer.next(),
            traceparent=trace,
            session_id=given.session_id,
            owner=owner,
            answer_event_id=given.event_id,
            signal=given.signal,
            comment=given.comment or "",
        )

    def _respond(
        self,
        exchange: Exchange,
        event: FeedbackGiven,
        outcome: Noted | None,
        timing: tuple[float, float, float],
        *,
        is_kept: bool,
    ) -> None:
        if outcome is Noted.FOREIGN:
            raise forbidden("the session belongs to another user")
        if outcome is Noted.UNKNOWN:
            raise not_found("there is no such session")
        if not is_kept:
            raise too_busy("the feedback can't be taken note of at the moment, send it again")
        auth_ms, redis_ms, total_ms = (seconds * 1000 for seconds in timing)
        lines = JSON_LINES + (
            b"x-answer-source: none\r\nx-event-id: %b\r\nserver-timing: auth;dur=%.3f, "
            b"redis;dur=%.3f, total;dur=%.3f\r\n"
        ) % (event.event_id.encode(), auth_ms, redis_ms, total_ms)
        reply = msgspec.json.encode(FeedbackReply(event_id=event.event_id))
        exchange.respond(HTTPStatus.ACCEPTED, lines, reply)
        self._meters.requests(self.name, "none").inc()
        self._meters.request_seconds(self.name).observe(timing[2])
        self._meters.segment_seconds("redis").observe(timing[1])
