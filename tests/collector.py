"""A collector of spans: an OTLP receiver over HTTP, on a port of its own."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

SECONDS = 120.0
"""What only a failing test waits, however busy the machine is."""


@dataclass(frozen=True)
class Collected:
    """A span as it came, and the service that it came from."""

    service: str
    span: Span

    @property
    def said(self) -> dict[str, str | int]:
        """The attributes that are texts or whole numbers."""
        return {
            one.key: one.value.string_value or one.value.int_value for one in self.span.attributes
        }


class Collector:
    """What has come so far."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._collected: dict[bytes, Collected] = {}
        """By the span: an exporter sends it again where it hears too late that it was taken."""
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.path == "/v1/traces"
                collector.take(body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        """What OTEL_EXPORTER_OTLP_ENDPOINT is to say."""
        return f"http://127.0.0.1:{self.server.server_port}"

    def take(self, body: bytes) -> None:
        """Take a request in."""
        request = ExportTraceServiceRequest.FromString(body)
        with self._changed:
            for of_resource in request.resource_spans:
                named = {one.key: one.value for one in of_resource.resource.attributes}
                service = named["service.name"].string_value
                for scope in of_resource.scope_spans:
                    self._collected |= {
                        span.trace_id + span.span_id: Collected(service, span)
                        for span in scope.spans
                    }
            self._changed.notify_all()

    def within(
        self, seconds: float, is_enough: Callable[[Sequence[Collected]], bool]
    ) -> Sequence[Collected]:
        """What has come, as soon as it is enough or these seconds are over."""
        with self._changed:
            self._changed.wait_for(lambda: is_enough(list(self._collected.values())), seconds)
            return list(self._collected.values())

    def until(self, is_enough: Callable[[Sequence[Collected]], bool]) -> Sequence[Collected]:
        """What has come, as soon as it is enough."""
        found = self.within(SECONDS, is_enough)
        assert is_enough(found), [(one.service, one.span.name) for one in found]
        return found


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector for the time of a test."""
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever, name="collector")
    thread.start()
    try:
        yield collector
    finally:
        collector.server.shutdown()
        thread.join()
        collector.server.server_close()
