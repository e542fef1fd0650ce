"""uvicorn's HTTP protocol with a short way for the hot routes: no ASGI, no task, one write.

Only the plain case is short: the exact path without a query, nothing else under way on the
connection. All else takes uvicorn's way into the ASGI application, which has the same routes.
Also bounds what a slow or greedy client can hold: time for a request, header bytes, idle time.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serving.exchange import (
    SECURITY_LINES,
    HeaderList,
    HotRoute,
    dispatch,
    no_answer_lines,
    rendered,
)
from serving.hot_exchange import HotExchange
from serving.problems import Problem, bad_request

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

REQUEST_SECONDS = 5.0
"""How long a client may take for the headers and body of a request."""
IDLE_SECONDS = 75.0
MAX_HEADER_BYTES = 32 * 1024

_NEVER = float("inf")

CrossOrigin = Callable[[HeaderList], bytes]
"""The header lines that let the browser of this request read the response."""


class HotRoutes:
    """What the connections of a process share."""

    def __init__(
        self,
        routes: Mapping[bytes, HotRoute],
        *,
        cross_origin: CrossOrigin,
        refused: Callable[[str, int], None],
    ) -> None:
        self.routes = routes
        self.cross_origin = cross_origin
        self.refused = refused
        self._default_headers: object = None
        self._lines = b""

    def lines(self, default_headers: list[tuple[bytes, bytes]]) -> bytes:
        """The headers of every response; uvicorn makes a new list of its own every second."""
        if default_headers is not self._default_headers:
            own = b"".join(b"%b: %b\r\n" % header for header in default_headers)
            self._default_headers, self._lines = default_headers, own + SECURITY_LINES
        return self._lines


class HotProtocol(HttpToolsProtocol):
    """One client connection. `app_state["hot"]` holds the HotRoutes."""

    def __init__(
        self,
        config: "Config",
        server_state: "ServerState",
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.hot: HotRoutes = app_state["hot"]
        self.overdue_at = _NEVER
        self._header_bytes = -1
        """Of the headers that are coming in, but for those that follow another request in the
        same read; -1 outside of headers."""
        self._ended_one = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.overdue_at = self.loop.time() + REQUEST_SECONDS

    def data_received(self, data: bytes) -> None:
        self._ended_one = False
        super().data_received(data)
        if self._header_bytes >= 0 and not self._ended_one:
            self._header_bytes += len(data)
        if self._header_bytes > MAX_HEADER_BYTES:
            self._header_bytes = -1
            self._reject(Problem(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too many headers"))

    def on_message_begin(self) -> None:
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self._header_bytes = 0
        self.overdue_at = self.loop.time() + REQUEST_SECONDS

    def on_headers_complete(self) -> None:
        self._header_bytes = -1
        route = self.hot.routes.get(self.url)
        if route is None or not self._is_plain(route):
            self._take_the_long_way()
            return
        exchange = HotExchange(self, route, keep_alive=self.parser.should_keep_alive())
        self.cycle = cast("Any", exchange)

    def _take_the_long_way(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()  # only here, for what it makes is not needed on the short way
        self.url, self.expect_100_continue = url, expects
        self.headers += headers
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        exchange: object = self.cycle
        if not isinstance(exchange, HotExchange):
            super().on_body(body)
        elif not exchange.response_complete:
            exchange.receive(body)

    def on_message_complete(self) -> None:
        self.overdue_at = _NEVER
        self._ended_one = True
        exchange: object = self.cycle
        if not isinstance(exchange, HotExchange):
            super().on_message_complete()
        elif not exchange.response_complete:
            exchange.is_whole = True
            dispatch(exchange.route, exchange, self.hot.refused)
        else:
            self._await_next()

    def write_response(
        self, status: int, headers: HeaderList, lines: bytes, body: bytes, *, keep_alive: bool
    ) -> None:
        """Write a whole response."""
        self.transport.write(
            b"%b%b%b%b%bcontent-length: %d\r\n\r\n%b"
            % (
                STATUS_LINE[status],
                self.hot.lines(self.server_state.default_headers),
                self.hot.cross_origin(headers),
                lines,
                b"" if keep_alive else b"connection: close\r\n",
                len(body),
                body,
            )
        )

    def responded(self, keep_alive: bool) -> None:
        """A response is on its way: close, start what was pipelined, or wait for the next."""
        if not keep_alive:
            self.transport.close()
        if self.pipeline:
            self.on_response_complete()
            return
        self.server_state.total_requests += 1
        if self.overdue_at == _NEVER:  # else a request is still coming in
            self._await_next()

    def close_if_overdue(self, now: float) -> None:
        """Close a connection that is idle or slow; called by `serving.deadlines.sweep`."""
        if now < self.overdue_at:
            return
        if self.transport.is_closing():  # it was asked to close and the client does not read
            self.transport.abort()
        else:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """uvicorn calls this for bytes that are not HTTP."""
        self._reject(bad_request(msg))

    def _is_plain(self, route: HotRoute) -> bool:
        parser = self.parser
        return (
            parser.get_method() == route.method
            and self._nothing_under_way()
            and parser.get_http_version() == "1.1"
            and not self.expect_100_continue
            and not parser.should_upgrade()
            and not self.flow.write_paused
        )

    def _nothing_under_way(self) -> bool:
        cycle: Any = self.cycle  # None before the first request, whatever its annotation says
        return cycle is None or cycle.response_complete

    def _await_next(self) -> None:
        self.overdue_at = self.loop.time() + IDLE_SECONDS

    def _reject(self, problem: Problem) -> None:
        """Answer what cannot be handled as a request, unless an answer is under way; then close."""
        if self.transport.is_closing():
            return
        cycle: object = self.cycle
        if self._nothing_under_way() or (isinstance(cycle, HotExchange) and not cycle.is_whole):
            status, lines, body = rendered(problem)
            lines += no_answer_lines(time.perf_counter())
            self.write_response(status, (), lines, body, keep_alive=False)
            self.hot.refused("none", problem.status)
        self.transport.close()
