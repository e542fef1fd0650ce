"""A question over a connection that stays, as the chat route sees a request.

Beside the one response it takes pieces of the answer ahead of it, tells when nobody waits for it
any more, and knows what was read ahead of whoever asks.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from serving.frames import MessageFrame, timing_in
from serving.kept_context import KeptContext

if TYPE_CHECKING:
    from serving.exchange import HeaderList
    from serving.tracing import RequestTrace


class Asker(Protocol):
    """The conversation that the question is part of."""

    @property
    def context(self) -> KeptContext | None:
        """What is known of who speaks."""
        ...

    def answered(self, asked: "Asked", status: int, body: bytes) -> None:
        """Take the response."""
        ...

    def token(self, asked: "Asked", text: str) -> None:
        """Take a piece of the answer."""
        ...


class Asked:
    """One question; implements `serving.exchange.Exchange`."""

    __slots__ = (
        "_abandoned", "_asker", "_is_over", "_wants_timing", "body", "headers", "message_id",
        "query", "question", "started", "timing", "trace",
    )  # fmt: skip

    def __init__(self, asker: Asker, frame: MessageFrame, started: float) -> None:
        self.started = started
        self.headers: HeaderList = ()
        self.query = b""
        self.body: bytes | bytearray = b""
        self.trace: RequestTrace | None = None
        self.timing = b""
        """What took how long, where the client asked for that."""
        self._wants_timing = frame.timing
        self.message_id = frame.message_id
        self.question = frame.message
        self._asker = asker
        self._abandoned: Callable[[], object] | None = None
        self._is_over = False

    @property
    def context(self) -> KeptContext | None:
        """What was read ahead of whoever asks."""
        return self._asker.context

    def respond(self, status: int, lines: bytes, body: bytes) -> None:
        """Answer; the first call counts."""
        if not self._is_over:
            self._is_over = True
            if self._wants_timing:
                self.timing = timing_in(lines)
            self._asker.answered(self, status, body)

    def token(self, text: str) -> None:
        """Send a piece of the answer ahead of it."""
        if not self._is_over:
            self._asker.token(self, text)

    def when_abandoned(self, tell: Callable[[], object]) -> None:
        """Have somebody told when the client goes before it has its answer, or has gone."""
        self._abandoned = tell
        if self._is_over:
            tell()

    def abandon(self) -> None:
        """The client has gone."""
        self._is_over = True
        if self._abandoned is not None:
            self._abandoned()
