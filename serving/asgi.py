"""The ASGI application: every route, and the hot ones for clients that the short way is not for.

Refusals are problem documents here too. `serving/protocol.py` answers most requests of the hot
routes before they get here.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, MutableMapping
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.exchange import (
    SECURITY_LINES,
    HeaderList,
    HotRoute,
    dispatch,
    no_answer_lines,
    pairs,
    rendered,
)
from serving.problems import Problem, internal_error, too_large
from serving.protocol import CrossOrigin

if TYPE_CHECKING:
    from serving.tracing import RequestTrace

EXPOSED_HEADERS = ("X-Answer-Source", "X-Event-Id", "Server-Timing")

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[Mapping[str, object]]]


class HotEndpoint:
    """A hot route as an ASGI application."""

    def __init__(self, route: HotRoute, refused: Callable[[str, int], None]) -> None:
        self._route = route
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body, let the route answer, send what it answered."""
        exchange = _AsgiExchange(scope["headers"], scope["query_string"])
        body = bytearray()
        try:
            async for piece in _pieces(receive):
                body += piece
                if len(body) > self._route.body_limit:
                    raise too_large(self._route.body_limit)
        except ClientDisconnect:
            return
        exchange.body = bytes(body)
        dispatch(self._route, exchange, self._refused)
        if not exchange.response.done():
            await _until_left(exchange, receive)
            if not exchange.response.done():
                exchange.abandon()
                return
        status, lines, content = exchange.response.result()
        headers = [*pairs(lines), (b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})


class _AsgiExchange:
    def __init__(self, headers: HeaderList, query: bytes) -> None:
        self.started = time.perf_counter()
        self.headers = headers
        self.query = query
        self.body: bytes | bytearray = b""
        self.trace: RequestTrace | None = None
        self.response: asyncio.Future[tuple[int, bytes, bytes]] = (
            asyncio.get_running_loop().create_future()
        )
        self._tell: Callable[[], object] | None = None
        self._is_abandoned = False

    def respond(self, status: int, lines: bytes, body: bytes) -> None:
        if not self.response.done():
            self.response.set_result((status, lines, body))

    def when_abandoned(self, tell: Callable[[], object]) -> None:
        """Have somebody told where the client goes before it has its response, or has gone."""
        self._tell = tell
        if self._is_abandoned:
            tell()

    def abandon(self) -> None:
        """The client has gone."""
        self._is_abandoned = True
        if self._tell is not None:
            self._tell()


async def _until_left(exchange: _AsgiExchange, receive: Receive) -> None:
    """Wait until the response is there, or the client has gone."""
    leaving = asyncio.create_task(_disconnected(receive), name="client leaves")
    either: set[asyncio.Future[Any]] = {leaving, exchange.response}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _pieces(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        yield message.get("body", b"")
        more = message.get("more_body", False)


class CommonHeaders:
    """Adds the headers that every response has, where one does not set them itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        started = time.perf_counter()

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_missing(message, started)
            await send(message)

        await self._app(scope, receive, add)


def _add_missing(message: MutableMapping[str, object], started: float) -> None:
    headers = message.get("headers", ())
    own = [(bytes(name), bytes(text)) for name, text in headers]  # type: ignore[attr-defined]
    names = {name.lower() for name, _ in own}
    common = SECURITY_LINES + no_answer_lines(started)
    own += [(name, text) for name, text in pairs(common) if name not in names]
    message["headers"] = own


def application(
    routes: list[BaseRoute],
    hot: Mapping[str, HotRoute],
    *,
    refused: Callable[[str, int], None],
    allowed_origins: frozenset[str],
    lifespan: Lifespan | None = None,
) -> Starlette:
    """The application of these routes; `hot` by path."""

    def problem(request: Request, error: Exception) -> Response:
        found = _as_problem(error)
        refused(
            "other" if request.url.path not in hot else hot[request.url.path].name, found.status
        )
        return problem_response(found)

    hot_routes = [
        Route(path, HotEndpoint(route, refused), methods=[route.method.decode()])
        for path, route in hot.items()
    ]
    return Starlette(
        routes=[*hot_routes, *routes],
        middleware=[
            Middleware(CommonHeaders),
            Middleware(
                CORSMiddleware,
                allow_origins=sorted(allowed_origins),
                allow_methods=["GET", "POST"],
                allow_headers=["Authorization", "Content-Type", "Traceparent"],
                expose_headers=EXPOSED_HEADERS,
            ),
        ],
        exception_handlers={HTTPException: problem, Problem: problem, Exception: problem},
        lifespan=lifespan,
    )


def problem_response(problem: Problem) -> Response:
    """A problem document as a Starlette response."""
    status, lines, body = rendered(problem)
    response = Response(body, status)
    for name, text in pairs(lines):
        response.headers[name.decode()] = text.decode()
    return response


def _as_problem(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        problem = Problem(HTTPStatus(error.status_code), error.detail)
        problem.headers.update(error.headers or {})
        return problem
    return internal_error()


def cross_origin(allowed_origins: frozenset[str]) -> CrossOrigin:
    """What CORSMiddleware does for a simple request, for the short way."""
    allowed = {origin.encode() for origin in allowed_origins}
    exposed = ", ".join(EXPOSED_HEADERS).encode()

    def lines(headers: HeaderList) -> bytes:
        if not allowed:
            return b""
        for name, origin in headers:
            if name == b"origin" and origin in allowed:
                return (
                    b"access-control-allow-origin: %b\r\nvary: Origin\r\n"
                    b"access-control-expose-headers: %b\r\n" % (origin, exposed)
                )
        return b"vary: Origin\r\n"

    return lines
