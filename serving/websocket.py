"""The WebSocket connections of `/v1/ws`, as a protocol class for uvicorn: no ASGI and no task each.

The frames of RFC 6455 are the `websockets` package's, without compression: answers are small, and
a deflate window costs more memory than all the rest of a connection. Bounds what a client can hold:
frame size, control frames, unread answers, silence, and the connection's life.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from serving.conversation import INVALID_TEXT, POLICY, UNSUPPORTED, Conversation
from serving.exchange import SECURITY_LINES, no_answer_lines, pairs, rendered
from serving.frames import FRAME_LIMIT
from serving.handshake import require_origin, session_id_of
from serving.problems import (
    Problem,
    bad_request,
    internal_error,
    not_found,
)
from serving.switchboard import Switchboard

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

log = logging.getLogger(__name__)
_quiet = logging.getLogger(f"{__name__}.wire")
_quiet.setLevel(logging.WARNING)

PATH = "/v1/ws"
PING_SECONDS = 20.0
"""After so long without a sign of life a ping is sent, after twice as long the client is gone."""
WRITE_SECONDS = 10.0
"""How long a client may leave unread what fills the buffers."""
UNREAD_BYTES = 64 * 1024
MAX_UNREAD_BYTES = 512 * 1024
CLOSE_SECONDS = 2.0
"""How long a client may take to close its side."""
LIFE_SECONDS = 2 * 3600.0
"""API Gateway's limit: clients have to be able to connect again anyway."""
SMALL_FRAMES, SMALL_FRAMES_SECONDS = 100, 10.0
"""Pings, pongs and fragments that a client may send in so long a time."""

_SINGLE = ("authorization", "origin", "host")


class WebSockets:
    """What the connections of a process share."""

    def __init__(self, switchboard: Switchboard, allowed_origins: frozenset[str]) -> None:
        self.switchboard = switchboard
        self.allowed_origins = allowed_origins


class WebSocketProtocol(asyncio.Protocol):
    """One client connection. `app_state["ws"]` holds the WebSockets."""

    def __init__(
        self,
        config: "Config",
        server_state: "ServerState",
        app_state: Mapping[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._shared: WebSockets = app_state["ws"]
        self._connections = cast("set[object]", server_state.connections)
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._wire = ServerProtocol(max_size=FRAME_LIMIT, logger=_quiet)
        self._conversation: Conversation | None = None
        self._fragments: bytearray | None = None
        self._reason = "client"
        self._small_frames = 0
        self._counted_since = self._heard_at = self._born_at = self._now()
        self._is_pinged = False
        self._stalled_at = self._closing_at = float("inf")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection over from HTTP."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=UNREAD_BYTES)
        self._connections.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        """Forget the client."""
        self._connections.discard(self)
        conversation, self._conversation = self._conversation, None
        if conversation is not None:
            conversation.leave()
            self._shared.switchboard.closed(self._reason)

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client."""
        self._heard_at, self._is_pinged = self._now(), False
        self._wire.receive_data(data)
        for event in self._wire.events_received():
            if isinstance(event, Request):
                self._shake_hands(event)
            elif isinstance(event, Frame) and self._wire.close_sent is None:
                self._frame(event)
        if self._wire.parser_exc is not None:
            self._reason = "protocol"
        self._flush()

    def eof_received(self) -> None:
        """The client closed its side without saying so first."""
        self._wire.receive_eof()
        self._flush()

    def pause_writing(self) -> None:
        """The client does not read: neither do we, so that it cannot ask for more."""
        self._stalled_at = self._now()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The client has read what there was."""
        self._stalled_at = float("inf")
        self._heard_at = self._now()
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def send(self, text: bytes) -> None:
        """Send a text frame, unless the client has gone or does not read at all."""
        if self._wire.state is not State.OPEN or self._transport.is_closing():
            return
        self._wire.send_text(text)
        self._flush()
        if self._transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            self._abort("slow_reader")

    def close(self, code: int, reason: str) -> None:
        """Say that the connection ends, and why."""
        if self._wire.state is not State.OPEN:
            return
        self._reason = reason
        self._closing_at = self._now()
        self._wire.send_close(code, reason)
        self._flush()

    def shutdown(self) -> None:
        """The server stops; uvicorn waits until this connection is closed."""
        if self._conversation is None:
            self._transport.close()
        else:
            self._conversation.drain()

    def close_if_overdue(self, now: float) -> None:
        """End or probe what takes too long; called by `serving.deadlines.sweep`."""
        if now - self._closing_at >= CLOSE_SECONDS:
            self._transport.abort()
        elif now - self._stalled_at >= WRITE_SECONDS:
            self._abort("slow_reader")
        elif now - self._heard_at >= 2 * PING_SECONDS:
            self._abort("silent")
        elif self._conversation is not None and self._wire.state is State.OPEN:
            self._look_after(self._conversation, now)

    def _look_after(self, conversation: Conversation, now: float) -> None:
        if now - self._born_at >= LIFE_SECONDS:
            conversation.drain()
        else:
            conversation.look()
        if now - self._heard_at >= PING_SECONDS and not self._is_pinged:
            self._is_pinged = True
            if self._wire.state is State.OPEN:
                self._wire.send_ping(b"")
                self._flush()

    def _shake_hands(self, request: Request) -> None:
        try:
            response = self._accept(request)
        except Problem as problem:
            response = self._refusal(problem)
        except Exception:  # the edge of the process: the client gets no stack trace
            log.exception("a handshake failed")
            response = self._refusal(internal_error())
        self._wire.send_response(response)

    def _accept(self, request: Request) -> Response:
        path, _, query = request.path.partition("?")
        if path != PATH:
            raise not_found("there is no such thing")
        for name in _SINGLE:
            if len(request.headers.get_all(name)) > 1:
                raise bad_request(f"the header {name} comes more than once")
        require_origin(request.headers.get("origin"), self._shared.allowed_origins)
        response = self._wire.accept(request)
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            raise Problem(HTTPStatus(response.status_code), "not a WebSocket handshake")
        self._begin(session_id_of(query), request.headers.get("authorization"))
        return response

    def _begin(self, session_id: str, authorization: str | None) -> None:
        switchboard = self._shared.switchboard
        token = None if authorization is None else authorization.encode("latin-1")
        switchboard.opened()
        try:
            self._conversation = Conversation(switchboard, self, session_id, token)
        except Problem:
            switchboard.closed("refused")
            raise

    def _refusal(self, problem: Problem) -> Response:
        self._shared.switchboard.meters.refused("ws", problem.status)
        status, lines, body = rendered(problem)
        own = b"connection: close\r\ncontent-length: %d\r\n" % len(body)
        headers = Headers()
        for name, text in pairs(
            lines + own + SECURITY_LINES + no_answer_lines(time.perf_counter())
        ):
            headers[name.decode()] = text.decode("latin-1")
        return Response(status, problem.status.phrase, headers, body)

    def _frame(self, frame: Frame) -> None:
        if self._conversation is None:
            return
        match frame.opcode:
            case Opcode.TEXT | Opcode.CONT:
                self._text(frame, self._conversation)
            case Opcode.BINARY:
                self.close(UNSUPPORTED, "not_text")
            case _:
                self._count_small_frame()

    def _text(self, frame: Frame, conversation: Conversation) -> None:
        if not frame.fin or self._fragments is not None:
            self._fragments = self._fragments or bytearray()
            self._fragments += frame.data
        if not frame.fin:
            self._count_small_frame()
            return
        text = frame.data if self._fragments is None else self._fragments
        self._fragments = None
        try:
            str(text, "utf-8")
        except UnicodeDecodeError:
            self.close(INVALID_TEXT, "not_utf8")
        else:
            conversation.receive(bytes(text))

    def _count_small_frame(self) -> None:
        if self._heard_at - self._counted_since >= SMALL_FRAMES_SECONDS:
            self._counted_since, self._small_frames = self._heard_at, 0
        self._small_frames += 1
        if self._small_frames > SMALL_FRAMES:
            self.close(POLICY, "flood")

    def _flush(self) -> None:
        """Write what is due; the end of what is due closes the connection."""
        for data in self._wire.data_to_send():
            if self._transport.is_closing():  # uvloop raises for a write to one
                return
            if data:
                self._transport.write(data)
            else:
                self._closing_at = min(self._closing_at, self._now())
                self._transport.close()

    def _abort(self, reason: str) -> None:
        self._reason = reason
        self._transport.abort()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
