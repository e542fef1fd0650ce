"""What travels between the HTTP server and a service: requests, replies, API errors.

Knows no service and no socket. A new AWS service is one more module that satisfies `Service`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

Clock = Callable[[], float]


@dataclass(slots=True)
class Request:
    method: str
    path: str
    query: str
    headers: dict[bytes, bytes]
    body: bytes

    def header(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")


@dataclass(slots=True)
class Response:
    """`stream`, when given, is sent chunked after the head and `body` is ignored."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    stream: AsyncIterator[bytes] | None = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """Close the connection with a reset instead of answering."""


Reply = Response | Dropped
Outcome = Reply | Coroutine[Any, Any, Reply]


class ApiError(Exception):
    """An error of the AWS API. `query_code` is the name older SDKs know it by, when it differs."""

    def __init__(self, code: str, message: str, *, status: int = 400, query_code: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.query_code = query_code or code


@dataclass(slots=True)
class Delivery:
    """How a receiving action must misbehave: repeated messages, a shuffled head of the queue."""

    duplicate_probability: float = 0.0
    shuffle_window: int = 0


def _never() -> bool:
    return False


class StreamCut(Exception):  # noqa: N818 - an order, not an error
    """Raised within a stream: the connection is to be reset now."""


@dataclass(slots=True)
class Streaming:
    """How a streaming action must behave: its pace in tokens, and after how many it breaks off.

    It breaks off with a reset connection where `is_cut`, else with the API's error `error`. A model
    `says` this in place of an answer, unless that is nothing.
    """

    first_seconds: float = 0.0
    token_seconds: float = 0.0
    breaks_after: int | None = None
    is_cut: bool = False
    error: str = ""
    says: str = ""


@dataclass(slots=True)
class Call:
    """One request, recognised: `resource` is the queue, feature group, endpoint or model, if any.

    Of each entry of a batch `entry_fails` says whether it is left undone, and `entry_errs` whether
    it is answered with an error of its own, where the API knows both.
    """

    action: str
    request: Request
    params: object
    resource: str = ""
    entry_fails: Callable[[], bool] = _never
    entry_errs: Callable[[], bool] = _never
    delivery: Delivery = field(default_factory=Delivery)
    streaming: Streaming = field(default_factory=Streaming)

    @property
    def is_partial(self) -> bool:
        """Whether a part of it is to be left undone."""
        return self.entry_fails is not _never


class Service(Protocol):
    """A service of AWS behind the dispatcher.

    `parse` and `invoke` raise ApiError for what the API calls an error; `fault` names the API's own
    error for an injected kind (http500, http503, throttle, expired_token, access_denied).
    """

    name: str

    def claims(self, request: Request) -> bool: ...

    def parse(self, request: Request) -> Call: ...

    def invoke(self, call: Call) -> Outcome: ...

    def fault(self, kind: str) -> ApiError: ...

    def error(self, error: ApiError) -> Response: ...

    def control(self, request: Request, path: str) -> Response:
        """Answer `/_emulator/<name>/<path>`: what the real API has no call for."""

    def close(self) -> None: ...
