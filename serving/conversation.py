"""One client's talk over a connection that stays: who speaks, what may be asked, in which order.

Knows frames and the chat route, not what carries the frames. One question is answered at a time,
so that the pieces of two answers never mix; what comes meanwhile waits.

Who speaks is said once: by the Authorization header of the handshake or the first frame. A message
as the first frame comes from somebody who is not signed in, and this stays so. A later auth frame
renews the token of the same user.
"""

import time
from collections import deque
from http import HTTPStatus
from typing import Protocol

from domain.answers import PREVIEW_CHARS
from domain.events import ANONYMOUS
from domain.sessions import Turn
from serving import frames
from serving.asked import Asked
from serving.chat import require_words
from serving.exchange import guarded
from serving.frames import AuthFrame, Code, MessageFrame
from serving.kept_context import KeptContext
from serving.models import ChatRequest
from serving.problems import Problem, forbidden
from serving.switchboard import Switchboard, TooManyConnections
from serving.tracing import NO_HEADERS

AUTH_SECONDS = 5.0
"""How long a client may take to say who speaks."""
MESSAGES, MESSAGES_SECONDS = 20, 10.0
"""So many messages in so long a time are taken."""
MAX_WAITING = 20
MAX_REFUSED = 200
"""A client that goes on sending what is refused is shown out."""

OF_THE_MODEL = frozenset({"model", "cache", "stale"})
"""The sources of answers that may be taken back."""

UNSUPPORTED, INVALID_TEXT, POLICY, RESTART = 1003, 1007, 1008, 1012
"""Close codes; RFC 6455, section 7.4.1, and the registry that it founded."""


class Line(Protocol):
    """What carries the frames of one conversation."""

    def send(self, text: bytes) -> None:
        """Send a text frame, unless the client has gone."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Close the connection for this reason once everything is sent."""
        ...


class Conversation:
    """The talk: `receive` takes the client's texts, `look` looks at the time."""

    __slots__ = (
        "_authorization", "_context", "_deadline", "_expires_at", "_is_draining", "_line",
        "_refused", "_taken", "_under_way", "_user", "_waiting", "session_id", "switchboard",
    )  # fmt: skip

    def __init__(
        self, switchboard: Switchboard, line: Line, session_id: str, authorization: bytes | None
    ) -> None:
        """Raises Problem for a token that is not valid or a user with too many connections."""
        self.switchboard = switchboard
        self.session_id = session_id
        self._line = line
        self._user: str | None = None
        self._authorization: bytes | None = None
        self._context: KeptContext | None = None
        self._expires_at = float("inf")
        self._deadline = switchboard.time() + AUTH_SECONDS
        self._waiting: deque[MessageFrame] | None = None
        self._under_way: Asked | None = None
        self._taken: deque[float] | None = None
        self._refused = 0
        self._is_draining = False
        if authorization is not None:
            self._identify(authorization)

    @property
    def user(self) -> str | None:
        """Who speaks; empty for somebody who is not signed in, None while that is not known."""
        return self._user

    @property
    def context(self) -> KeptContext | None:
        """What is known of who speaks; None while that is not known."""
        return self._context

    def receive(self, text: bytes | bytearray) -> None:
        """Take a text from the client."""
        if not self._may_speak():
            self._refuse("too_many_messages", f"at most {MESSAGES} in {MESSAGES_SECONDS:g} seconds")
            return
        try:
            frame = frames.read(text)
            if isinstance(frame, MessageFrame):
                require_words(frame.message)
        except Problem as problem:
            self._refuse(frames.code_of(problem), problem.detail)
            return
        if isinstance(frame, AuthFrame):
            self._authenticate(frame)
        else:
            self._take(frame)

    def look(self) -> None:
        """End the talk where nobody said who speaks, or the token has expired."""
        if self._user is None:
            if self.switchboard.time() >= self._deadline:
                self._end("unauthorized", "nobody said who speaks", "auth_timeout")
        elif self.switchboard.clock() >= self._expires_at and self._under_way is None:
            self._expire()

    def drain(self) -> None:
        """Answer what was asked, take nothing more, and have the client connect again."""
        if self._is_draining:
            return
        self._is_draining = True
        self._line.send(frames.error("reconnect", "this server stops: connect again"))
        self._close_if_done()

    def leave(self) -> None:
        """The client has gone: forget it, and what it still waits for."""
        self._waiting = None
        context, self._context = self._context, None
        if context is not None:
            context.drop()
        asked, self._under_way = self._under_way, None
        if asked is not None:
            asked.abandon()
        if self._user is not None:
            self.switchboard.checked_out(self._user)
            self._user = None

    def answered(self, asked: Asked, status: int, body: bytes) -> None:
        """Send what became of a question and go on to the next."""
        if asked is not self._under_way:  # the client has gone
            return
        self._under_way = None
        if status < HTTPStatus.BAD_REQUEST:
            self.switchboard.counted.messages("answered").inc()
            self._line.send(frames.answer(body, asked.message_id, asked.timing))
            self._remember(asked, body)
        else:
            found = frames.error_in(body)
            self._refuse(found.code, found.detail, asked.message_id)
        if self._waiting:
            self._ask(self._waiting.popleft())
        elif self._is_draining:
            self._close_if_done()

    def token(self, asked: Asked, text: str) -> None:
        """Send a piece of the answer that is being made."""
        if asked is self._under_way:
            self._line.send(frames.token(text, asked.message_id))

    def _remember(self, asked: Asked, body: bytes) -> None:
        gist = frames.gist(body)
        if self._context is not None and gist is not None:
            self._context.note(
                Turn(
                    event_id=gist.event_id,
                    message_id=asked.message_id or gist.event_id,
                    question=asked.question,
                    answer_preview=gist.answer.text[:PREVIEW_CHARS],
                    at=self.switchboard.chat.desk.clock(),
                ),
                may_be_taken_back=gist.source in OF_THE_MODEL,
            )

    def _authenticate(self, frame: AuthFrame) -> None:
        if frame.token is None:
            if self._user:
                self._refuse("invalid", "a token is needed to renew one")
            elif self._user is None:
                self._check_in(ANONYMOUS)
            return
        if self._user == ANONYMOUS:
            self._refuse("invalid", "the conversation began without a token: connect again")
            return
        try:
            self._identify(b"Bearer " + frame.token.encode())
        except TooManyConnections as problem:
            self._end("too_many_connections", problem.detail, "too_many")
        except Problem as problem:
            self._end(frames.code_of(problem), problem.detail, "unauthorized")

    def _identify(self, authorization: bytes) -> None:
        """Learn from a token who speaks, or renew it; raises Problem."""
        user = self.switchboard.gate.caller(authorization).user
        if self._user is None:
            self._check_in(user)
        elif user != self._user:
            raise forbidden("the token is another user's")
        self._authorization = authorization
        self._expires_at = self.switchboard.gate.expiry(authorization)

    def _check_in(self, user: str) -> None:
        self.switchboard.checked_in(user)
        self._user = user
        self._context = self.switchboard.contexts.keep(self.session_id, user)

    def _take(self, frame: MessageFrame) -> None:
        if self._user is None:
            try:
                self._check_in(ANONYMOUS)
            except TooManyConnections as problem:
                self._end("too_many_connections", problem.detail, "too_many")
                return
        if self._is_draining:
            self._refuse("reconnect", "this server stops: connect again", frame.message_id)
        elif self._under_way is None:
            self._ask(frame)
        else:
            if self._waiting is None:
                self._waiting = deque()
            if len(self._waiting) >= MAX_WAITING:
                self._refuse("busy", "wait for the answers to what was asked", frame.message_id)
            else:
                self._waiting.append(frame)

    def _ask(self, frame: MessageFrame) -> None:
        started = time.perf_counter()
        try:
            user = self.switchboard.gate.caller(self._authorization).user
        except Problem:
            self._expire()
            return
        auth_seconds = time.perf_counter() - started
        if self._context is not None:
            self._context.use()
        asked = self._under_way = Asked(self, frame, started)
        route = self.switchboard.chat
        traceparent = route.tracing.begin(asked, route.name, NO_HEADERS, started)
        question = ChatRequest(
            session_id=self.session_id,
            message=frame.message,
            message_id=frame.message_id,
            locale=frame.locale,
        )
        guarded(
            lambda: route.ask(
                asked,
                question,
                user,
                traceparent=traceparent,
                started=started,
                auth_seconds=auth_seconds,
            ),
            route.name,
            asked,
            self.switchboard.meters.refused,
        )

    def _may_speak(self) -> bool:
        now = self.switchboard.time()
        if self._taken is None:
            self._taken = deque(maxlen=MESSAGES)
        if len(self._taken) == MESSAGES and now - self._taken[0] < MESSAGES_SECONDS:
            return False
        self._taken.append(now)
        return True

    def _refuse(self, code: Code, detail: str, message_id: str | None = None) -> None:
        self.switchboard.counted.messages(code).inc()
        self._line.send(frames.error(code, detail, message_id))
        self._refused += 1
        if self._refused == MAX_REFUSED:
            self._close(POLICY, "too_many_refused")

    def _expire(self) -> None:
        self._end("unauthorized", "the token is no longer valid", "token_expired")

    def _end(self, code: Code, detail: str, reason: str) -> None:
        self.switchboard.counted.messages(code).inc()
        self._line.send(frames.error(code, detail))
        self._close(POLICY, reason)

    def _close_if_done(self) -> None:
        if self._under_way is None and not self._waiting:
            self._close(RESTART, "reconnect")

    def _close(self, code: int, reason: str) -> None:
        self._waiting = None
        self._line.close(code, reason)
