"""Spans as the SDK would have exported them, kept in memory."""

from collections.abc import Iterator, Mapping, Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from adapters.otel_traces import OtelTraces
from config.tracing import Requests
from domain.tracing import TraceContext
from serving.tracing import SampledTracing

SAMPLED = f"00-{'a' * 32}-{'b' * 16}-01"
UNSAMPLED = f"00-{'a' * 32}-{'b' * 16}-00"


class Spans:
    """What has ended so far; `traces` is where it came from."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.traces = OtelTraces("test", SimpleSpanProcessor(self._exporter))

    def __iter__(self) -> Iterator[ReadableSpan]:
        return iter(self._exporter.get_finished_spans())

    def names(self) -> list[str]:
        return [span.name for span in self]

    def named(self, name: str) -> ReadableSpan:
        """The one span of this name."""
        (found,) = [span for span in self if span.name == name]
        return found

    def parts_of(self, parent: ReadableSpan) -> dict[str, ReadableSpan]:
        """The children of a span by name."""
        return {
            span.name: span
            for span in self
            if span.parent is not None and span.parent.span_id == context_of(parent)[1]
        }

    def tracing(self, ratio: float = 1.0, per_second: int = 1000) -> SampledTracing:
        """Traces this share of the requests of a process."""
        table = Requests(ratio=ratio, per_second=per_second)
        return SampledTracing(self.traces, table, chance=lambda: 0.5, clock=lambda: 0.0)


def said(span: ReadableSpan) -> Mapping[str, object]:
    """The attributes of a span."""
    return span.attributes or {}


def context_of(span: ReadableSpan) -> tuple[int, int]:
    """Trace and span id."""
    assert span.context is not None
    return span.context.trace_id, span.context.span_id


def traceparent_of(span: ReadableSpan) -> str:
    """What a span is known by elsewhere."""
    trace_id, span_id = context_of(span)
    return str(TraceContext(f"{trace_id:032x}", f"{span_id:016x}", is_sampled=True))


def links_of(span: ReadableSpan) -> Sequence[tuple[int, int]]:
    """Trace and span id of what a span is linked to."""
    return [(link.context.trace_id, link.context.span_id) for link in span.links]
