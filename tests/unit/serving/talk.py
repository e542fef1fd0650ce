"""A conversation over a line in memory."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from domain.sessions import Turn
from serving.conversation import Conversation
from serving.conversation_meters import ConversationMeters
from serving.kept_context import KeptContext
from serving.keys import KeySet
from serving.problems import invalid_token
from serving.switchboard import Switchboard
from serving.tokens import Caller, Gate
from tests.unit.serving.fakes import NOW, RequestPath, request_path

Json = dict[str, object]


@dataclass
class FakeLine:
    """What was sent, and how it was closed."""

    sent: list[Json] = field(default_factory=list)
    closed: tuple[int, str] | None = None

    def send(self, text: bytes) -> None:
        assert self.closed is None, "nothing is sent after the end"
        self.sent.append(json.loads(text))

    def close(self, code: int, reason: str) -> None:
        self.closed = self.closed or (code, reason)


class ExpiringCallers(Gate):
    """Takes `Bearer NAME:SECONDS` for the user NAME until so many seconds after NOW."""

    def __init__(self, path: RequestPath) -> None:
        super().__init__(KeySet(""), issuer="", audience="")
        self._path = path
        self.now = NOW

    def caller(self, authorization: bytes | None) -> Caller:
        if authorization is None:
            return super().caller(None)
        user, _, _ = authorization.decode().removeprefix("Bearer ").partition(":")
        if not user.isalpha() or self.now >= self.expiry(authorization):
            raise invalid_token("the bearer token is not valid")
        return Caller(user)

    def expiry(self, authorization: bytes) -> float:
        return NOW + float(authorization.decode().partition(":")[2] or "3600")


@dataclass
class FakeContext:
    """A context that nothing is read into; counts how it is used."""

    user: str
    used: int = 0
    turns: list[Turn] = field(default_factory=list)
    may_be_taken_back: list[bool] = field(default_factory=list)
    is_dropped: bool = False

    def use(self) -> None:
        self.used += 1

    def note(self, turn: Turn, *, may_be_taken_back: bool = False) -> None:
        self.may_be_taken_back.append(may_be_taken_back)
        self.turns.append(turn)

    def drop(self) -> None:
        self.is_dropped = True


@dataclass
class FakeContexts:
    """`Contexts`."""

    kept: list[FakeContext] = field(default_factory=list)

    def keep(self, session_id: str, user: str) -> KeptContext:
        self.kept.append(FakeContext(user))
        return cast("KeptContext", self.kept[-1])


@dataclass
class Talk:
    """Conversations with one process; `seconds` is how far the clocks have gone."""

    path: RequestPath
    gate: ExpiringCallers
    switchboard: Switchboard
    contexts: FakeContexts
    seconds: float = 0.0

    def begin(self, token: str | None = None) -> tuple[Conversation, FakeLine]:
        line = FakeLine()
        authorization = None if token is None else f"Bearer {token}".encode()
        return Conversation(self.switchboard, line, "s-1", authorization), line

    def wait(self, seconds: float) -> None:
        self.seconds += seconds
        self.gate.now = NOW + self.seconds


def talk(limit: int = 1000) -> Talk:
    path = request_path()
    gate, contexts = ExpiringCallers(path), FakeContexts()
    switchboard = Switchboard(
        path.chat,
        gate,
        path.meters,
        ConversationMeters(path.registry),
        contexts,
        limit=limit,
        clock=lambda: gate.now,
        monotonic=lambda: gate.now,
    )
    return Talk(path, gate, switchboard, contexts)


def text(frame: Mapping[str, object]) -> bytes:
    return json.dumps(frame).encode()


def message(question: str = "what is popular", message_id: str | None = "m-1") -> bytes:
    return text({"type": "message", "message_id": message_id, "message": question})


def auth(token: str | None) -> bytes:
    return text({"type": "auth", "token": token})
