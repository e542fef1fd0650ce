"""A request on the short way of `serving/protocol.py`, which has no ASGI cycle and no task."""

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

from serving.exchange import HeaderList, HotRoute, refuse
from serving.problems import too_large

if TYPE_CHECKING:
    from serving.protocol import HotProtocol
    from serving.tracing import RequestTrace


class _NoEvent:
    """What uvicorn sets to wake the task of a cycle; here there is none."""

    def set(self) -> None:
        """Wake nobody."""


class _Leaving:
    """The same where somebody wants to know that the client has gone."""

    def __init__(self, exchange: "HotExchange", tell: Callable[[], object]) -> None:
        self._exchange = exchange
        self._tell = tell

    def set(self) -> None:
        """uvicorn calls this when the connection is lost."""
        if self._exchange.disconnected:
            self._tell()


_NOBODY_WAITS = _NoEvent()


class HotExchange:
    """The request and its response; to uvicorn it looks like one of its own cycles."""

    __slots__ = (
        "body", "disconnected", "headers", "is_whole", "keep_alive", "message_event", "protocol",
        "query", "response_complete", "route", "started", "trace",
    )  # fmt: skip

    def __init__(self, protocol: "HotProtocol", route: HotRoute, *, keep_alive: bool) -> None:
        self.started = time.perf_counter()
        self.protocol = protocol
        self.route = route
        self.headers: HeaderList = protocol.headers
        self.query = b""
        self.body: bytes | bytearray = b""
        self.trace: RequestTrace | None = None
        self.is_whole = False
        self.keep_alive = keep_alive
        self.response_complete = False
        self.disconnected = False
        self.message_event: _NoEvent | _Leaving = _NOBODY_WAITS

    def when_abandoned(self, tell: Callable[[], object]) -> None:
        """Have somebody told where the client goes before it has its response, or has gone."""
        self.message_event = _Leaving(self, tell)
        self.message_event.set()

    def respond(self, status: int, lines: bytes, body: bytes) -> None:
        """Write the response, unless the client has gone or has one already."""
        if self.response_complete or self.disconnected or self.protocol.transport.is_closing():
            return
        self.response_complete = True
        self.protocol.write_response(status, self.headers, lines, body, keep_alive=self.keep_alive)
        self.protocol.responded(self.keep_alive)

    def receive(self, body: bytes) -> None:
        """Take a piece of the body; too many of them are refused at once."""
        if not self.body:
            self.body = body
        elif isinstance(self.body, bytearray):
            self.body += body
        else:
            self.body = bytearray(self.body) + body
        if len(self.body) > self.route.body_limit:
            refuse(self, too_large(self.route.body_limit))
            self.protocol.hot.refused(self.route.name, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
