"""The routes of API Gateway's WebSocket API: $connect, $default and $disconnect as HTTP requests.

Any process may get any message, so that what is known of a connection is in Redis. Answers go out
by PostToConnection, behind a response that says nothing. Only who knows the key that the
integration sends is taken for API Gateway: connection ids come in headers.
"""

import hmac
import logging
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from domain.connections import HeldConnection
from domain.errors import Malformed, Transient
from domain.events import ANONYMOUS
from serving import frames
from serving.chat import ChatRoute, require_words
from serving.conversation import MESSAGES, MESSAGES_SECONDS
from serving.conversation_meters import ConversationMeters
from serving.exchange import guarded
from serving.frames import FRAME_LIMIT, AuthFrame, Code, MessageFrame
from serving.gateway_line import GatewayLine, Outgoing
from serving.handshake import require_origin, session_id_of
from serving.meters import Meters
from serving.models import ChatRequest
from serving.problems import Problem, bad_request, forbidden, invalid_token, too_busy, too_large
from serving.switchboard import MAX_OF_USER
from serving.tokens import Gate
from serving.tracing import NO_HEADERS

log = logging.getLogger(__name__)

KEY_HEADER, CONNECTION_HEADER = "x-gateway-key", "connectionid"

_CONNECTION_ID = re.compile(r"[A-Za-z0-9_=-]{1,128}")


class HeldConnections(Protocol):
    """What is known of connections; see `adapters/redis_connections.py`."""

    async def keep(self, connection_id: str, held: HeldConnection, seconds: float) -> bool:
        """Remember a connection; False where its user has too many."""
        ...

    async def take(self, connection_id: str, seconds: float) -> tuple[HeldConnection | None, int]:
        """A connection, and how many messages it sent within the window."""
        ...

    async def forget(self, connection_id: str, seconds: float) -> None:
        """The connection has ended."""
        ...


class GatewayRoutes:
    """The three routes."""

    def __init__(
        self,
        *,
        key: str,
        chat: ChatRoute,
        gate: Gate,
        connections: HeldConnections,
        outgoing: Outgoing,
        meters: Meters,
        counted: ConversationMeters,
        allowed_origins: frozenset[str],
        redis_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._key = key.encode()
        self._chat = chat.named("gateway")
        self._gate = gate
        self._connections = connections
        self._outgoing = outgoing
        self._meters = meters
        self._counted = counted
        self._allowed_origins = allowed_origins
        self._redis_seconds = redis_seconds
        self._clock = clock

    def routes(self) -> list[BaseRoute]:
        """The paths that the integrations of the API name."""
        handlers: dict[str, Callable[[Request], Awaitable[None]]] = {
            "connect": self._connect, "default": self._message, "disconnect": self._disconnect,
        }  # fmt: skip
        return [
            Route(f"/v1/gateway/{name}", self._guarded(handle), methods=["POST"])
            for name, handle in handlers.items()
        ]

    def _guarded(
        self, handle: Callable[[Request], Awaitable[None]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            if not hmac.compare_digest(request.headers.get(KEY_HEADER, "").encode(), self._key):
                raise forbidden("only API Gateway may ask this")
            if self._outgoing.is_full and handle != self._disconnect:
                raise too_busy("too many answers are on their way")
            try:
                await handle(request)
            except Transient as error:
                raise too_busy("connections cannot be looked up at the moment") from error
            return Response()

        return endpoint

    async def _connect(self, request: Request) -> None:
        connection_id = _connection_id(request)
        require_origin(request.headers.get("origin"), self._allowed_origins)
        held = HeldConnection(session_id_of(request.url.query))
        authorization = request.headers.get("authorization")
        if authorization is not None:
            held = self._identified(held, authorization.encode("latin-1"))
        if not await self._connections.keep(connection_id, held, self._redis_seconds):
            raise too_busy(f"a user may have {MAX_OF_USER} connections")

    async def _disconnect(self, request: Request) -> None:
        connection_id = _connection_id(request)
        self._outgoing.left(connection_id)
        await self._connections.forget(connection_id, self._redis_seconds)
        self._counted.closed("client").inc()

    async def _message(self, request: Request) -> None:
        connection_id = _connection_id(request)
        text = await _body(request)
        held, sent = await self._taken(connection_id)
        line = self._outgoing.line(connection_id)
        if held is None:
            self._refuse(line, "reconnect", "nothing is known of this connection: connect again")
            line.close()
        elif sent > MESSAGES:
            detail = f"at most {MESSAGES} in {MESSAGES_SECONDS:g} seconds"
            self._refuse(line, "too_many_messages", detail)
        else:
            await self._heard(line, connection_id, held, text)

    async def _heard(
        self, line: GatewayLine, connection_id: str, held: HeldConnection, text: bytes
    ) -> None:
        try:
            frame = frames.read(text)
            if isinstance(frame, MessageFrame):
                require_words(frame.message)
            said = self._said(held, frame)
        except Problem as problem:
            self._refuse(line, frames.code_of(problem), problem.detail)
            if problem.status in {401, 403}:
                line.close()
            return
        if said != held and not await self._connections.keep(
            connection_id, said, self._redis_seconds
        ):
            self._refuse(line, "too_many_connections", f"a user may have {MAX_OF_USER} connections")
            line.close()
        elif isinstance(frame, MessageFrame):
            self._ask(line, said, frame)

    def _said(self, held: HeldConnection, frame: frames.Incoming) -> HeldConnection:
        """What is known of the connection after this frame; raises Problem."""
        if held.expires_at and self._clock() >= held.expires_at:
            raise invalid_token("the token is no longer valid: connect again")
        if isinstance(frame, AuthFrame) and frame.token is not None:
            if held.user == ANONYMOUS:
                raise bad_request("the conversation began without a token: connect again")
            return self._identified(held, b"Bearer " + frame.token.encode())
        return held if held.user is not None else replace(held, user=ANONYMOUS)

    def _identified(self, held: HeldConnection, authorization: bytes) -> HeldConnection:
        user = self._gate.caller(authorization).user
        if held.user not in {None, user}:
            raise forbidden("the token is another user's")
        return replace(held, user=user, expires_at=self._gate.expiry(authorization))

    def _ask(self, line: GatewayLine, held: HeldConnection, frame: MessageFrame) -> None:
        asked = line.ask(frame, time.perf_counter())
        route = self._chat
        traceparent = route.tracing.begin(asked, route.name, NO_HEADERS, asked.started)
        question = ChatRequest(
            session_id=held.session_id,
            message=frame.message,
            message_id=frame.message_id,
            locale=frame.locale,
        )
        owner = held.user or ANONYMOUS
        guarded(
            lambda: route.ask(
                asked,
                question,
                owner,
                traceparent=traceparent,
                started=asked.started,
                auth_seconds=0.0,
            ),
            route.name,
            asked,
            self._meters.refused,
        )

    async def _taken(self, connection_id: str) -> tuple[HeldConnection | None, int]:
        try:
            return await self._connections.take(connection_id, self._redis_seconds)
        except Malformed as error:
            log.warning("%s", error)
            return None, 0

    def _refuse(self, line: GatewayLine, code: Code, detail: str) -> None:
        self._counted.messages(code).inc()
        line.send(frames.error(code, detail))


def _connection_id(request: Request) -> str:
    found = request.headers.getlist(CONNECTION_HEADER)
    if len(found) != 1 or not _CONNECTION_ID.fullmatch(found[0]):
        raise bad_request("the header connectionId names the connection, once")
    return found[0]


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > FRAME_LIMIT:
            raise too_large(FRAME_LIMIT)
    return bytes(body)
