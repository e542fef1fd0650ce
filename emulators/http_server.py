"""A small HTTP/1.1 server: keep-alive, pipelining, chunked bodies both ways, limits.

When the client goes away the handler's task is cancelled, so that a long poll takes nothing for
nobody. Knows no AWS.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import Any, cast

import httptools

from emulators.wire import Dropped, Outcome, Reply, Request, Response, StreamCut

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 16 * 1024 * 1024
MAX_HEADER_BYTES = 64 * 1024
MAX_PIPELINED = 32
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
STATUS_LINES = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n" for s in HTTPStatus}

Handler = Callable[[Request], Outcome]


def _status_line(status: int) -> str:
    return STATUS_LINES.get(status) or f"HTTP/1.1 {status} Status {status}\r\n"


def _head(response: Response, framing: str, *, keep_alive: bool) -> bytes:
    lines = [
        _status_line(response.status),
        f"x-amzn-RequestId: {uuid.uuid4()}\r\n",
        f"Content-Type: {response.content_type}\r\n{framing}\r\n",
    ]
    lines += [f"{name}: {value}\r\n" for name, value in response.headers]
    lines.append("\r\n" if keep_alive else "Connection: close\r\n\r\n")
    return "".join(lines).encode("latin-1")


class Connection(asyncio.Protocol):
    """One client. Requests are answered in order; at most one is being handled at a time."""

    def __init__(self, handler: Handler, connections: set[Connection]) -> None:
        self._handler = handler
        self._connections = connections
        self._pending: deque[tuple[Request, bool]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._paused_reading = False
        self._reset_message()

    # --- asyncio ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio.Transport, whatever the annotation says
        self._transport = cast("asyncio.Transport", transport)
        self._parser: Any = httptools.HttpRequestParser(self)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._connections.discard(self)
        self._pending.clear()
        self._writable.set()
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._refuse(self._refusal or HTTPStatus.BAD_REQUEST)
        self._pump()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def abort(self) -> None:
        self._transport.abort()

    # --- httptools ---

    def _reset_message(self) -> None:
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._header_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._refusal: HTTPStatus | None = None

    def on_message_begin(self) -> None:
        self._reset_message()

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._measure_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value
        self._measure_head(len(name) + len(value))

    def _measure_head(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MAX_HEADER_BYTES:
            self._refusal = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise ValueError

    def on_headers_complete(self) -> None:
        if self._headers.get(b"expect", b"").lower() == b"100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > MAX_BODY_BYTES:
            self._refusal = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            raise ValueError
        self._body.append(body)

    def on_message_complete(self) -> None:
        path, _, query = self._url.decode("latin-1").partition("?")
        request = Request(
            method=self._parser.get_method().decode("latin-1"),
            path=path,
            query=query,
            headers=self._headers,
            body=b"".join(self._body),
        )
        self._pending.append((request, self._parser.should_keep_alive()))

    # --- answering ---

    def _refuse(self, status: HTTPStatus) -> None:
        if self._transport.is_closing():
            return
        body = f'{{"message":"{status.phrase}"}}'.encode()
        response = Response(status.value, body)
        framing = f"Content-Length: {len(body)}"
        self._transport.write(_head(response, framing, keep_alive=False) + body)
        self._transport.close()

    def _pump(self) -> None:
        while self._pending and self._task is None and not self._transport.is_closing():
            request, keep_alive = self._pending.popleft()
            outcome = self._handle(request)
            if isinstance(outcome, Response) and outcome.stream is None:
                self._write(outcome, keep_alive=keep_alive)
            elif isinstance(outcome, Dropped):
                self._drop()
            else:
                self._task = asyncio.get_running_loop().create_task(
                    self._answer_later(outcome, keep_alive=keep_alive)
                )
        self._throttle_reading()

    def _throttle_reading(self) -> None:
        """Only a client that pipelines deeply is ever paused: a paused socket hides its own end."""
        crowded = len(self._pending) > MAX_PIPELINED
        if crowded == self._paused_reading or self._transport.is_closing():
            return
        self._paused_reading = crowded
        if crowded:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _handle(self, request: Request) -> Outcome:
        try:
            return self._handler(request)
        except Exception:
            log.exception("unhandled error")
            return Response(500, b'{"message":"internal error"}')

    async def _answer_later(self, outcome: Outcome, *, keep_alive: bool) -> None:
        try:
            reply = outcome if isinstance(outcome, Response | Dropped) else await outcome
            await self._write_any(reply, keep_alive=keep_alive)
        except asyncio.CancelledError:
            self._transport.abort()
            raise
        except StreamCut:
            self._drop()
        except Exception:
            log.exception("unhandled error")
            self._transport.abort()
        self._task = None
        self._pump()

    async def _write_any(self, reply: Reply, *, keep_alive: bool) -> None:
        if isinstance(reply, Dropped):
            self._drop()
        elif reply.stream is not None:
            await self._write_stream(reply, reply.stream, keep_alive=keep_alive)
        else:
            self._write(reply, keep_alive=keep_alive)

    def _write(self, response: Response, *, keep_alive: bool) -> None:
        framing = f"Content-Length: {len(response.body)}"
        self._transport.write(_head(response, framing, keep_alive=keep_alive) + response.body)
        if not keep_alive:
            self._transport.close()

    async def _write_stream(
        self, response: Response, stream: AsyncIterator[bytes], *, keep_alive: bool
    ) -> None:
        framing = "Transfer-Encoding: chunked"
        self._transport.write(_head(response, framing, keep_alive=keep_alive))
        async for chunk in stream:
            if chunk:
                self._transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                await self._writable.wait()
        self._transport.write(b"0\r\n\r\n")
        if not keep_alive:
            self._transport.close()

    def _drop(self) -> None:
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._transport.abort()


class HttpServer:
    """Listens on one port. `close` drops every connection at once."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self._handler, self._connections), host, port, backlog=1024
        )
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.abort()
        await asyncio.sleep(0)
