"""What goes out to clients whose connections API Gateway holds: in order, by blocking calls."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from domain.errors import MangaAssistError
from serving import frames
from serving.asked import Asked
from serving.conversation_meters import ConversationMeters
from serving.frames import Code, MessageFrame
from serving.kept_context import KeptContext

log = logging.getLogger(__name__)

SENDERS = 16
"""Frames that may be on their way at once; one call takes milliseconds."""
MAX_LINES = 1024
"""Connections with answers or frames under way; beyond that nothing is taken on."""


class Posts(Protocol):
    """Blocking calls to API Gateway; False where the client has gone. See `adapters/`."""

    def post(self, connection_id: str, frame: bytes) -> bool:
        """Send a text frame."""
        ...

    def close(self, connection_id: str) -> bool:
        """End the connection."""
        ...


@dataclass(slots=True)
class _Piece:
    """The part of an answer that waits to be sent; what comes meanwhile joins it."""

    message_id: str | None
    text: str


class Outgoing:
    """Makes lines, one for each connection, and keeps those with anything to send."""

    def __init__(
        self,
        posts: Posts,
        counted: ConversationMeters,
        gone: Callable[[str], Awaitable[None]],
        *,
        limit: int = MAX_LINES,
    ) -> None:
        self._posts = posts
        self.counted = counted
        self._gone = gone
        self.limit = limit
        self._threads = ThreadPoolExecutor(SENDERS, thread_name_prefix="gateway")
        self._lines: dict[str, GatewayLine] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self.sending: set[asyncio.Task[None]] = set()

    @property
    def is_full(self) -> bool:
        """Whether nothing more is to be taken on at the moment."""
        return len(self._lines) >= self.limit

    @property
    def asking(self) -> Sequence[str]:
        """The connections for which an answer is being made."""
        return [line.connection_id for line in self._lines.values() if line.is_asking]

    def line(self, connection_id: str) -> "GatewayLine":
        """The way to a client: the same one for as long as it is in use."""
        return self._lines.get(connection_id) or GatewayLine(self, connection_id)

    def left(self, connection_id: str) -> None:
        """The client has gone: nobody waits for what it asked."""
        line = self._lines.get(connection_id)
        if line is not None:
            line.abandon()

    def used(self, line: "GatewayLine") -> None:
        """Keep a line while it has something to answer or to send."""
        if line.is_idle:
            self._lines.pop(line.connection_id, None)
        else:
            self._lines[line.connection_id] = line
        if self._lines:
            self._idle.clear()
        else:
            self._idle.set()

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

    async def drain(self, answer_seconds: float, send_seconds: float) -> None:
        """Wait for the answers that are being made; who gets none in time is to connect again."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(answer_seconds):
                await self._idle.wait()
        for line in tuple(self._lines.values()):
            line.give_up()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(send_seconds):
                await self.settled()


class GatewayLine:
    """The way to one client; implements `serving.asked.Asker`.

    Its frames go out in order, also those of several messages that are answered at the same time.
    """

    def __init__(self, outgoing: Outgoing, connection_id: str) -> None:
        self.connection_id = connection_id
        self._outgoing = outgoing
        self._under_way: set[Asked] = set()
        self._waiting: deque[_Piece | bytes | None] = deque()
        self._is_sending = False

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being answered or sent."""
        return not self._under_way and not self._is_sending

    @property
    def is_asking(self) -> bool:
        """Whether an answer is being made."""
        return bool(self._under_way)

    @property
    def context(self) -> KeptContext | None:
        """Nothing is read ahead: the next message may come to another process."""
        return None

    def ask(self, frame: MessageFrame, started: float) -> Asked:
        """The question in this frame, which is under way from now on."""
        asked = Asked(self, frame, started)
        self._under_way.add(asked)
        self._outgoing.used(self)
        return asked

    def answered(self, asked: Asked, status: int, body: bytes) -> None:
        """Send what became of the question."""
        self._under_way.discard(asked)
        if status < HTTPStatus.BAD_REQUEST:
            self._outgoing.counted.messages("answered").inc()
            self.send(frames.answer(body, asked.message_id, asked.timing))
        else:
            found = frames.error_in(body)
            self._refuse(found.code, found.detail, asked)

    def token(self, asked: Asked, text: str) -> None:
        """Send a piece of the answer, together with those that wait before it."""
        last = self._waiting[-1] if self._waiting else None
        if isinstance(last, _Piece) and last.message_id == asked.message_id:
            last.text += text
        else:
            self._put(_Piece(asked.message_id, text))

    def send(self, frame: bytes) -> None:
        """Send a frame after those that were sent before."""
        self._put(frame)

    def close(self) -> None:
        """End the connection after what was sent."""
        self._put(None)

    def abandon(self) -> None:
        """Nobody is there any more: stop what is under way, and forget what waits."""
        self._waiting.clear()
        under_way, self._under_way = self._under_way, set()
        for asked in under_way:
            asked.abandon()
        self._outgoing.used(self)

    def give_up(self) -> None:
        """This process stops: have the client ask what is under way another one."""
        under_way, self._under_way = self._under_way, set()
        for asked in under_way:
            asked.abandon()
            self._refuse("reconnect", "this server stops: connect again", asked)
        self._outgoing.used(self)

    def _refuse(self, code: Code, detail: str, asked: Asked) -> None:
        self._outgoing.counted.messages(code).inc()
        self.send(frames.error(code, detail, asked.message_id))

    def _put(self, frame: _Piece | bytes | None) -> None:
        self._waiting.append(frame)
        if not self._is_sending:
            self._is_sending = True
            task = asyncio.create_task(self._send(), name="post to connection")
            self._outgoing.sending.add(task)
            task.add_done_callback(self._outgoing.sending.discard)
        self._outgoing.used(self)

    async def _send(self) -> None:
        try:
            while self._waiting:
                next_ = self._waiting.popleft()
                frame = _written(next_) if isinstance(next_, _Piece) else next_
                there = await self._outgoing.deliver(self.connection_id, frame)
                if frame is None or not there:
                    self.abandon()
        except MangaAssistError as error:
            # what is under way may still arrive: its last frame has the whole answer
            self._waiting.clear()
            self._outgoing.counted.messages("undelivered").inc()
            log.warning("a frame could not be delivered: %s", error)
        finally:
            self._is_sending = False
            self._outgoing.used(self)


def _written(piece: _Piece) -> bytes:
    return frames.token(piece.text, piece.message_id)
