"""Which requests are traced, and what their spans say: never what was asked, nor by whom.

A span costs as much as half of an answer, so that a request that is not traced makes none: its
segments are timed for the metrics anyway, and become spans after the response is out.
"""

import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple, Protocol

from config.tracing import Requests
from domain.tracing import Role, Span, TraceContext, Traces, Value

if TYPE_CHECKING:
    import asyncio

TRACEPARENT, XRAY = b"traceparent", b"x-amzn-trace-id"
NO_HEADERS: Mapping[bytes, bytes] = {}

STATUS = "http.response.status_code"
ROUTE = "mangaassist.route"
OUTCOME = "mangaassist.outcome"
REDIS = "mangaassist.redis"
LATE = "Late"
"""The failure of a segment that was given up for its budget."""


class Part(NamedTuple):
    """A segment of a request with its times, by `time.perf_counter`."""

    name: str
    began: float
    ended: float
    failure: str = ""


class Traceable(Protocol):
    """A request that may be traced."""

    trace: "RequestTrace | None"


class Tracing(Protocol):
    """Decides whether a request is traced."""

    def begin(
        self, request: Traceable, route: str, headers: Mapping[bytes, bytes], started: float
    ) -> str | None:
        """The trace context for the request's events; one that is traced has its trace from now."""
        ...


class Untraced:
    """Traces nothing, and passes on what the caller says."""

    def begin(
        self, request: Traceable, route: str, headers: Mapping[bytes, bytes], started: float
    ) -> str | None:
        """The caller's trace context."""
        header = headers.get(TRACEPARENT)
        return None if header is None else _passed_on(header)


UNTRACED = Untraced()


class SampledTracing:
    """Traces what callers sample, never what they do not, and a share of the rest.

    No more than the table allows in a second: else callers could make the process slow.
    """

    def __init__(
        self,
        traces: Traces,
        table: Requests,
        *,
        chance: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._traces = traces
        self._ratio = table.ratio
        self._per_second = table.per_second
        self._chance = chance
        self._clock = clock
        self._left = 0
        self._until = 0.0

    def begin(
        self, request: Traceable, route: str, headers: Mapping[bytes, bytes], started: float
    ) -> str | None:
        """The trace context for the request's events."""
        parent = _parent(headers)
        is_wanted = self._chance() < self._ratio if parent is None else parent.is_sampled
        if not is_wanted or not self._may_trace():
            return None if parent is None else str(replace(parent, is_sampled=False))
        span = self._traces.begin(route, Role.SERVER, parent=parent, began=started)
        request.trace = RequestTrace(span, route)
        return span.traceparent

    def _may_trace(self) -> bool:
        now = self._clock()
        if now >= self._until:
            self._left, self._until = self._per_second, now + 1.0
        self._left -= 1
        return self._left >= 0


class RequestTrace:
    """The span of a request that is traced. What is told after its end is not listened to."""

    __slots__ = ("_route", "_span", "redis")

    def __init__(self, span: Span, route: str) -> None:
        self._span: Span | None = span
        self._route = route
        self.redis = ""
        """What Redis had to say."""

    def answered(
        self, status: int, parts: Iterable[Part], attributes: Mapping[str, Value] | None = None
    ) -> None:
        """The response is out; `parts` are what it was made in."""
        if self._span is None:
            return
        for part in parts:
            if part.ended > part.began:
                self._span.part(*part)
        self._end({STATUS: status, **(attributes or {})})

    def refused(self, status: int) -> None:
        """A problem document is out."""
        is_ours = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        self._end({STATUS: status}, str(status) if is_ours else "")

    def done(self, task: "asyncio.Task[None]") -> None:
        """A task of the request is over; cancelled, where the client has gone meanwhile."""
        if task.cancelled():
            self._end({OUTCOME: "abandoned"})

    def _end(self, attributes: Mapping[str, Value], failure: str = "") -> None:
        span, self._span = self._span, None
        if span is not None:
            told = {REDIS: self.redis} if self.redis else {}
            span.end({ROUTE: self._route, **told, **attributes}, failure)


def _parent(headers: Mapping[bytes, bytes]) -> TraceContext | None:
    header = headers.get(TRACEPARENT)
    if header is not None:
        return TraceContext.parse(header.decode("latin-1"))
    header = headers.get(XRAY)
    return None if header is None else TraceContext.parse_xray(header.decode("latin-1"))


def _passed_on(header: bytes) -> str | None:
    context = TraceContext.parse(header.decode("latin-1"))
    return None if context is None else str(context)
