"""Spans by OpenTelemetry's SDK, sent to a collector over OTLP: HTTP and protobuf.

The exporter reads its address, headers and certificates from the SDK's own variables
(`OTEL_EXPORTER_OTLP_…`). Spans wait in memory and go out in batches from a thread; what finds no
room, or no collector, is dropped and logged. Trace ids begin with the time, as X-Ray's do.
"""

import random
import threading
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan

from config.tracing import Export
from domain.tracing import Role, Span, TraceContext, Value

CLOSE_SECONDS = 1.0
FAILURE = "error.type"

_KINDS = {
    Role.SERVER: SpanKind.SERVER,
    Role.PRODUCER: SpanKind.PRODUCER,
    Role.CONSUMER: SpanKind.CONSUMER,
}


class OtelTraces:
    """Implements `domain.tracing.Traces`; which requests are traced is decided before."""

    def __init__(self, service: str, processor: SpanProcessor) -> None:
        resource = {"service.name": f"mangaassist-{service}", "service.version": _version()}
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=Resource.create(resource),
            id_generator=TimedIds(),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("mangaassist")

    def begin(
        self,
        name: str,
        role: Role,
        *,
        parent: TraceContext | None = None,
        links: Sequence[TraceContext] = (),
        began: float | None = None,
    ) -> Span:
        """Begin a span."""
        clock = _Clock()
        span = self._tracer.start_span(
            name,
            context=Context() if parent is None else _inside(parent),
            kind=_KINDS[role],
            links=[Link(_known(link)) for link in links],
            start_time=None if began is None else clock.epoch_ns(began),
        )
        return _UnderWay(self._tracer, span, clock)

    def close(self) -> None:
        """Send what is left; a collector that does not answer holds nothing up."""
        closing = threading.Thread(target=self._provider.shutdown, name="spans", daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)


class TimedIds(RandomIdGenerator):
    """Trace ids of which the first 32 bits are the time, which X-Ray looks at."""

    def generate_trace_id(self) -> int:
        """A trace id that nobody has had."""
        return int(time.time()) << 96 | random.getrandbits(96)


class _UnderWay:
    __slots__ = ("_clock", "_inside", "_span", "_tracer", "traceparent")

    def __init__(self, tracer: Tracer, span: OtelSpan, clock: "_Clock") -> None:
        self._tracer = tracer
        self._span = span
        self._clock = clock
        self._inside = set_span_in_context(span, Context())
        context = span.get_span_context()
        self.traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-01"

    def part(self, name: str, began: float, ended: float, failure: str = "") -> None:
        """Add a child that has ended."""
        part = self._tracer.start_span(
            name, context=self._inside, start_time=self._clock.epoch_ns(began)
        )
        _fail(part, failure)
        part.end(self._clock.epoch_ns(ended))

    def end(self, attributes: Mapping[str, Value], failure: str = "") -> None:
        """End it now."""
        self._span.set_attributes(attributes)
        _fail(self._span, failure)
        self._span.end()


class _Clock:
    """Tells a time of `time.perf_counter` as nanoseconds of the epoch."""

    __slots__ = ("_ahead_ns",)

    def __init__(self) -> None:
        self._ahead_ns = time.time_ns() - time.perf_counter_ns()

    def epoch_ns(self, at: float) -> int:
        return self._ahead_ns + int(at * 1e9)


def over_otlp(service: str, table: Export) -> OtelTraces:
    """Traces that go to the collector that the environment names."""
    return OtelTraces(
        service,
        BatchSpanProcessor(
            OTLPSpanExporter(timeout=table.timeout_ms / 1000),
            max_queue_size=table.queue_spans,
            max_export_batch_size=table.batch_spans,
            schedule_delay_millis=table.linger_ms,
            export_timeout_millis=table.timeout_ms,
        ),
    )


def _fail(span: OtelSpan, failure: str) -> None:
    if failure:
        span.set_attribute(FAILURE, failure)
        span.set_status(Status(StatusCode.ERROR, failure))


def _known(context: TraceContext) -> SpanContext:
    return SpanContext(
        int(context.trace_id, 16),
        int(context.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED if context.is_sampled else TraceFlags.DEFAULT),
    )


def _inside(parent: TraceContext) -> Context:
    return set_span_in_context(NonRecordingSpan(_known(parent)), Context())


def _version() -> str:
    return version("mangaassist")
