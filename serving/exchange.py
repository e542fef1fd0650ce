"""One request and its response as a hot route sees them, whoever speaks HTTP."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

import msgspec
import uuid_utils

from serving.misfits import broken_json, misfit
from serving.problems import (
    MEDIA_TYPE,
    Problem,
    bad_request,
    internal_error,
    not_fitting,
    unsupported_media_type,
)
from serving.tracing import RequestTrace

log = logging.getLogger(__name__)

Body = TypeVar("Body")
HeaderList = Sequence[tuple[bytes, bytes]]

JSON_LINES = b"content-type: application/json\r\n"
SECURITY_LINES = (
    b"cache-control: no-store\r\n"
    b"content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n"
    b"referrer-policy: no-referrer\r\n"
    b"x-content-type-options: nosniff\r\n"
)

NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are not JSON."""

_SINGLE = {b"authorization", b"content-type", b"content-length", b"host", b"origin"}


class Exchange(Protocol):
    """A whole request that waits for its one response."""

    started: float
    """When its first bytes came, by `time.perf_counter`."""
    headers: HeaderList
    """Names in lower case, in the order of arrival."""
    query: bytes
    """What stands behind the `?` of the URL."""
    body: bytes | bytearray
    trace: RequestTrace | None
    """Of a request that is traced."""

    def respond(self, status: int, lines: bytes, body: bytes) -> None:
        """Send the response; `lines` are headers, each ended by CRLF. The first call counts."""
        ...

    def when_abandoned(self, tell: Callable[[], object]) -> None:
        """Have somebody told, once, where the client goes before it has its response."""
        ...


class HotRoute(Protocol):
    """A route that is answered without a task: it responds at once or from a callback."""

    name: str
    method: bytes
    body_limit: int

    def handle(self, exchange: Exchange) -> None:
        """Respond, now or later; raises Problem."""
        ...


def dispatch(route: HotRoute, exchange: Exchange, refused: Callable[[str, int], None]) -> None:
    """Let the route handle the request; whatever it raises becomes a problem document."""
    guarded(lambda: route.handle(exchange), route.name, exchange, refused)


def guarded(
    step: Callable[[], None],
    route: str,
    exchange: Exchange,
    refused: Callable[[str, int], None],
) -> None:
    """Run one step of a request; `refused` counts the problems by route and status."""
    try:
        step()
    except Problem as problem:
        refuse(exchange, problem)
        refused(route, problem.status)
    except Exception:  # the edge of the process: the client gets no stack trace
        log.exception("a request of %s failed", route)
        refuse(exchange, internal_error())
        refused(route, 500)


def refuse(exchange: Exchange, problem: Problem) -> None:
    """Respond with the problem document."""
    status, lines, body = rendered(problem)
    exchange.respond(status, lines + no_answer_lines(exchange.started), body)
    if exchange.trace is not None:
        exchange.trace.refused(status)


def no_answer_lines(started: float) -> bytes:
    """The headers that every response has, of one that is no answer to a question."""
    return b"x-answer-source: none\r\nx-event-id: %b\r\nserver-timing: total;dur=%.3f\r\n" % (
        new_id().encode(),
        (time.perf_counter() - started) * 1000,
    )


def new_id() -> str:
    """An id that nobody has had; later ones sort later."""
    return str(uuid_utils.uuid7())


def rendered(problem: Problem) -> tuple[int, bytes, bytes]:
    """The status, header lines and body of a problem document."""
    lines = b"content-type: " + MEDIA_TYPE + b"\r\n"
    for name, text in problem.headers.items():
        lines += f"{name}: {text}\r\n".encode()
    return int(problem.status), lines, problem.body()


def pairs(lines: bytes) -> list[tuple[bytes, bytes]]:
    """Header lines as names and values."""
    split = (line.partition(b": ") for line in lines.split(b"\r\n") if line)
    return [(name, text) for name, _, text in split]


def headers_of(exchange: Exchange) -> Mapping[bytes, bytes]:
    """The headers by name; raises Problem where one that decides something comes twice."""
    headers = dict(exchange.headers)
    if len(headers) != len(exchange.headers):
        names = [name for name, _ in exchange.headers]
        for name in _SINGLE:
            if names.count(name) > 1:
                raise bad_request(f"the header {name.decode()} comes more than once")
    return headers


def require_json(headers: Mapping[bytes, bytes]) -> None:
    """Raises Problem unless the body is declared as JSON in UTF-8."""
    content_type = headers.get(b"content-type", b"")
    if content_type == b"application/json":
        return
    kind, _, parameters = content_type.lower().partition(b";")
    if kind.strip() != b"application/json" or parameters.strip().replace(b'"', b"") not in {
        b"",
        b"charset=utf-8",
    }:
        raise unsupported_media_type()


def decoded(decoder: msgspec.json.Decoder[Body], body: bytes | bytearray) -> Body:
    """The body as its decoder reads it; raises Problem."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise not_fitting(misfit(error, decoder.type)) from error
    except NOT_JSON as error:
        raise bad_request(broken_json(error)) from error
