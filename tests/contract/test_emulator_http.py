"""The emulators' HTTP server by itself: streams, departures, errors of a handler."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from emulators.http_server import HttpServer
from emulators.wire import Dropped, Request, Response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

    from emulators.http_server import Handler
    from emulators.wire import Outcome, Reply

REQUEST = b"GET /x?a=1 HTTP/1.1\r\nHost: h\r\n\r\n"
LAST = REQUEST.replace(b"Host: h", b"Host: h\r\nConnection: close")


@asynccontextmanager
async def connected(
    handler: Handler,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    server = HttpServer(handler)
    reader, writer = await asyncio.open_connection("127.0.0.1", await server.start("127.0.0.1", 0))
    try:
        yield reader, writer
    finally:
        writer.close()
        await server.close()


async def test_a_stream_is_sent_in_chunks_and_the_connection_goes_on() -> None:
    async def parts() -> AsyncIterator[bytes]:
        for part in (b"one", b"", b"two"):
            yield part

    def handler(request: Request) -> Response:
        assert (request.path, request.query) == ("/x", "a=1")
        return Response(content_type="application/octet-stream", stream=parts())

    async with connected(handler) as (reader, writer):
        writer.write(REQUEST + LAST)
        answer = await reader.read()
    assert answer.count(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n") == 2


async def test_a_handler_is_cancelled_when_its_client_leaves() -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def forever() -> Reply:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return Response()

    async with connected(lambda _: forever()) as (_, writer):
        writer.write(REQUEST)
        await begun.wait()
        writer.close()
        await cancelled.wait()


async def test_requests_wait_for_the_one_before_them() -> None:
    order: list[str] = []
    gate = asyncio.Event()

    async def slow() -> Reply:
        await gate.wait()
        order.append("slow")
        return Response(body=b"slow")

    def handler(request: Request) -> Outcome:
        if not order and request.method == "GET":
            order.append("first")
            return slow()
        order.append("fast")
        return Response(body=b"fast")

    async with connected(handler) as (reader, writer):
        writer.write(REQUEST + LAST)
        await asyncio.sleep(0)
        gate.set()
        answer = await reader.read()
    assert order == ["first", "slow", "fast"]
    assert answer.index(b"slow") < answer.index(b"fast")


async def test_a_dropped_request_sees_a_reset() -> None:
    async with connected(lambda _: Dropped()) as (reader, writer):
        writer.write(REQUEST)
        try:
            answer = await reader.read()
        except ConnectionResetError:
            answer = b""
    assert answer == b""


async def test_an_error_in_a_handler_is_a_500_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def handler(_: Request) -> Response:
        raise RuntimeError("secret")

    async with connected(handler) as (reader, writer):
        writer.write(LAST)
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 500")
    assert b"secret" not in answer
    assert "unhandled error" in caplog.text


async def test_expect_continue_is_answered_before_the_body_comes() -> None:
    async with connected(lambda request: Response(body=request.body)) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"ok")
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(2) == b"ok"
