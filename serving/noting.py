"""What routes share that only note events: who speaks, and how it is confirmed what is noted."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

import msgspec

from serving.exchange import JSON_LINES, Exchange, guarded, headers_of, require_json
from serving.meters import Meters
from serving.outbox import EventSink, Producer
from serving.tokens import Caller, Gate
from serving.tracing import UNTRACED, Part, Tracing


@dataclass(frozen=True, slots=True, kw_only=True)
class NotingDesk:
    """What such a route works with; `redis_seconds` is what the outbox in Redis may take."""

    gate: Gate
    sink: EventSink
    producer: Producer
    meters: Meters
    redis_seconds: float
    tracing: Tracing = UNTRACED
    clock: Callable[[], float] = time.time


class NotingRequest:
    """One request of the route of this name, from its arrival to its confirmation."""

    def __init__(self, desk: NotingDesk, route: str, exchange: Exchange) -> None:
        self._started = time.perf_counter()
        self._desk = desk
        self._route = route
        self._exchange = exchange
        self._headers = headers_of(exchange)
        self._auth_seconds = 0.0
        self._asked_at: float | None = None
        self.trace = desk.tracing.begin(exchange, route, self._headers, self._started)

    def caller(self, admit: Callable[[bytes | None], Caller]) -> Caller:
        """Who speaks, as the gate admits them, and in JSON; raises Problem."""
        caller = admit(self._headers.get(b"authorization"))
        self._auth_seconds = time.perf_counter() - self._started
        require_json(self._headers)
        return caller

    def asking(self) -> None:
        """Redis is asked from now on."""
        self._asked_at = time.perf_counter()

    def late(self) -> None:
        """It did not answer in time."""
        self._desk.meters.budget_exceeded("redis").inc()

    def respond(self, reply: Callable[[], tuple[str, msgspec.Struct]]) -> None:
        """Confirm with the id of an event and a body; a Problem that is raised refuses."""
        now = time.perf_counter()
        guarded(
            lambda: self._confirm(*reply(), now),
            self._route,
            self._exchange,
            self._desk.meters.refused,
        )
        if self._exchange.trace is not None:
            auth = Part("auth", self._started, self._started + self._auth_seconds)
            redis = Part("redis", now if self._asked_at is None else self._asked_at, now)
            self._exchange.trace.answered(HTTPStatus.ACCEPTED, (auth, redis))

    def _confirm(self, event_id: str, body: msgspec.Struct, now: float) -> None:
        redis_seconds = 0.0 if self._asked_at is None else now - self._asked_at
        total_seconds = now - self._started
        timing = (self._auth_seconds * 1000, redis_seconds * 1000, total_seconds * 1000)
        lines = JSON_LINES + (
            b"x-answer-source: none\r\nx-event-id: %b\r\nserver-timing: auth;dur=%.3f, "
            b"redis;dur=%.3f, total;dur=%.3f\r\n"
        ) % (event_id.encode(), *timing)
        self._exchange.respond(HTTPStatus.ACCEPTED, lines, msgspec.json.encode(body))
        meters = self._desk.meters
        meters.requests(self._route, "none").inc()
        meters.request_seconds(self._route).observe(total_seconds)
        if self._asked_at is not None:
            meters.segment_seconds("redis").observe(redis_seconds)
