"""What goes out to clients whose connections API Gateway holds: in order, by blocking calls."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Protocol

from domain.errors import MangaAssistError
from serving import frames
from serving.asked import Asked
from serving.context import KeptContext
from serving.meters import ConversationMeters

log = logging.getLogger(__name__)

SENDERS = 16
"""Frames that may be on their way at once; one call takes milliseconds."""
MAX_LINES = 1024
"""Connections with frames waiting; beyond that nothing is taken on."""


class Posts(Protocol):
    """Blocking calls to API Gateway; False where the client has gone. See `adapters/`."""

    def post(self, connection_id: str, frame: bytes) -> bool:
        """Send a text frame."""
        ...

    def close(self, connection_id: str) -> bool:
        """End the connection."""
        ...


class Outgoing:
    """Makes lines, and keeps those that are sending."""

    def __init__(
        self,
        posts: Posts,
        counted: ConversationMeters,
        gone: Callable[[str], Awaitable[None]],
    ) -> None:
        self._posts = posts
        self.counted = counted
        self._gone = gone
        self._threads = ThreadPoolExecutor(SENDERS, thread_name_prefix="gateway")
        self.sending: set[asyncio.Task[None]] = set()

    @property
    def is_full(self) -> bool:
        """Whether nothing more is to be taken on at the moment."""
        return len(self.sending) >= MAX_LINES

    def line(self, connection_id: str) -> "GatewayLine":
        """The way to a client."""
        return GatewayLine(self, connection_id)

    async def deliver(self, connection_id: str, frame: bytes | None) -> bool:
        """Send a frame, or end the connection; False where the client has gone."""
        loop, posts = asyncio.get_running_loop(), self._posts
        if frame is None:
            there = await loop.run_in_executor(self._threads, posts.close, connection_id)
        else:
            there = await loop.run_in_executor(self._threads, posts.post, connection_id, frame)
        if not there:
            await self._gone(connection_id)
        return there

    async def settled(self) -> None:
        """Wait until everything has gone out."""
        while self.sending:
            await asyncio.wait(self.sending)


class GatewayLine:
    """The way to one client for one message; implements `serving.asked.Asker`."""

    def __init__(self, outgoing: Outgoing, connection_id: str) -> None:
        self._outgoing = outgoing
        self._connection_id = connection_id
        self._waiting: deque[bytes | None] = deque()
        self._is_sending = False

    @property
    def context(self) -> KeptContext | None:
        """Nothing is read ahead: the next message may come to another process."""
        return None

    def answered(self, asked: Asked, status: int, body: bytes) -> None:
        """Send what became of the question."""
        if status < HTTPStatus.BAD_REQUEST:
            self._outgoing.counted.messages("answered").inc()
            self.send(frames.answer(body, asked.message_id, asked.timing))
        else:
            found = frames.error_in(body)
            self._outgoing.counted.messages(found.code).inc()
            self.send(frames.error(found.code, found.detail, asked.message_id))

    def token(self, _asked: Asked, text: str) -> None:
        """Send a piece of the answer."""
        self.send(frames.token(text))

    def send(self, frame: bytes) -> None:
        """Send a frame after those that were sent before."""
        self._put(frame)

    def close(self) -> None:
        """End the connection after what was sent."""
        self._put(None)

    def _put(self, frame: bytes | None) -> None:
        self._waiting.append(frame)
        if not self._is_sending:
            self._is_sending = True
            task = asyncio.create_task(self._send(), name="post to connection")
            self._outgoing.sending.add(task)
            task.add_done_callback(self._outgoing.sending.discard)

    async def _send(self) -> None:
        try:
            while self._waiting:
                frame = self._waiting.popleft()
                if not await self._outgoing.deliver(self._connection_id, frame):
                    self._waiting.clear()
        except MangaAssistError as error:
            self._waiting.clear()
            self._outgoing.counted.messages("undelivered").inc()
            log.warning("a frame could not be delivered: %s", error)
        finally:
            self._is_sending = False
