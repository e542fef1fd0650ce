"""A model's container as SageMaker runs it: something that answers /ping and /invocations.

A small HTTP client with connections that stay open; knows nothing of AWS.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from urllib.parse import urlsplit

KEPT_CONNECTIONS = 32
MAX_ANSWER_BYTES = 6 * 1024 * 1024
"""The largest answer of an endpoint: InvokeEndpoint of the SageMaker API."""
HEAD_BYTES = 64 * 1024

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class ContainerGoneError(Exception):
    """The container does not answer, or not in HTTP."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    content_type: str
    body: bytes


class Container:
    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname or not parts.port:
            raise ValueError(f"a container is at http://HOST:PORT, not {url!r}")
        self._host, self._port = parts.hostname, parts.port
        self._idle: list[Connection] = []

    async def invoke(self, body: bytes, content_type: str, accept: str) -> Answer:
        head = (
            f"POST /invocations HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n"
            f"Content-Type: {content_type or 'application/octet-stream'}\r\n"
            f"Accept: {accept or '*/*'}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        request = head.encode("latin-1") + body
        while self._idle:
            with contextlib.suppress(ContainerGoneError):  # it may have closed what was idle
                return await self._exchange(self._idle.pop(), request)
        return await self._exchange(await self._connect(), request)

    def close(self) -> None:
        for _, writer in self._idle:
            writer.transport.abort()
        self._idle.clear()

    async def _connect(self) -> Connection:
        try:
            return await asyncio.open_connection(self._host, self._port, limit=HEAD_BYTES)
        except OSError as error:
            raise ContainerGoneError(str(error)) from error

    async def _exchange(self, connection: Connection, request: bytes) -> Answer:
        reader, writer = connection
        is_reusable = False
        try:
            writer.write(request)
            answer, is_reusable = await _answer(reader)
        except (OSError, ValueError, EOFError, asyncio.LimitOverrunError) as error:
            raise ContainerGoneError(str(error)) from error
        finally:
            if is_reusable and len(self._idle) < KEPT_CONNECTIONS:
                self._idle.append(connection)
            else:
                writer.transport.abort()
        return answer


async def _answer(reader: asyncio.StreamReader) -> tuple[Answer, bool]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status_line, *lines = head.rstrip("\r\n").split("\r\n")
    headers = {
        name.lower(): text.strip() for name, _, text in (line.partition(":") for line in lines)
    }
    size = int(headers["content-length"]) if "content-length" in headers else -1
    if not 0 <= size <= MAX_ANSWER_BYTES:
        raise ValueError("the container's answer has no length, or is too long")
    body = await reader.readexactly(size)
    answer = Answer(int(status_line.split(" ")[1]), headers.get("content-type", ""), body)
    return answer, headers.get("connection", "").lower() != "close"
