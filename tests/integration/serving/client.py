"""A small HTTP client over plain streams: it sends any bytes and reads whole responses."""

import asyncio
import contextlib
import json
from dataclasses import dataclass

from tests.integration.serving.processes import Serving


@dataclass(frozen=True)
class Reply:
    """One response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        document: dict[str, object] = json.loads(self.body)
        return document

    @property
    def text(self) -> str:
        """The text of the answer."""
        answer = self.json["answer"]
        assert isinstance(answer, dict)
        return str(answer["text"])


class Connection:
    """One keep-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, serving: Serving) -> "Connection":
        return cls(*await serving.connect())

    async def send(self, data: bytes) -> Reply:
        self.writer.write(data)
        return await self.read()

    async def read(self) -> Reply:
        head = await self.reader.readuntil(b"\r\n\r\n")
        status, *lines = head.decode().rstrip().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Reply(int(status.split()[1]), headers, body)

    async def at_end(self) -> bool:
        try:
            return await self.reader.read() == b""
        except ConnectionResetError:  # it ended with something of ours unread
            return True

    async def abort(self) -> None:
        """Leave without waiting for anything that was sent."""
        self.writer.transport.abort()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionResetError):
            await self.writer.wait_closed()


def post(path: str, body: object, token: str | None = None, *lines: str) -> bytes:
    """A POST request as bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f"POST {path} HTTP/1.1", "Host: test", f"Content-Length: {len(content)}"]
    if token:
        head.append(f"Authorization: Bearer {token}")
    if not any(line.lower().startswith("content-type") for line in lines):
        head.append("Content-Type: application/json")
    return "\r\n".join([*head, *lines, "", ""]).encode() + content


def chat(message: str, session: str, token: str | None = None, **fields: object) -> bytes:
    """A question as bytes."""
    return post("/v1/chat", {"session_id": session, "message": message, **fields}, token)
