"""What the chat models of AWS share: one call whose answer is an event stream, read as it comes.

A model that is throttled or not ready is not asked again here: what is left of the deadline is the
caller's.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterator
from typing import ClassVar

from adapters.aws_event_stream import events
from adapters.aws_http import AwsHttp
from domain.errors import Transient
from domain.model import WARMING, Ended, Prompt, Stop


class Reading(ABC):
    """One stream as far as it was read; `stop` is None while the answer has not ended.

    The tokens are counted before or after that, or not at all.
    """

    def __init__(self) -> None:
        self.stop: Stop | None = None
        self.input_tokens = 0
        self.output_tokens = 0

    @abstractmethod
    def pieces(self, kind: str, payload: bytes) -> Iterator[str]:
        """What an event adds to the answer; raises Transient for what cannot be read."""


class StreamedModel(ABC):
    """Implements `domain.model.ChatModel` for the service that a subclass speaks to."""

    service: ClassVar[str]
    operation: ClassVar[str]

    def __init__(self, http: AwsHttp, path: str, max_tokens: int, temperature: float) -> None:
        self._http = http
        self._path = path
        self._max_tokens = max_tokens
        self._temperature = temperature

    def stream(self, prompt: Prompt, seconds: float) -> AsyncGenerator[str | Ended, None]:
        """The answer piece by piece, then `Ended`; all of it within so many seconds."""
        return self._stream(prompt, self._max_tokens, seconds)

    async def warm(self, seconds: float) -> None:
        """Open a connection and have the model say one token; raises as `stream` does."""
        async for _ in self._stream(WARMING, 1, seconds):
            pass

    async def _stream(
        self, prompt: Prompt, max_tokens: int, seconds: float
    ) -> AsyncGenerator[str | Ended, None]:
        deadline = asyncio.get_running_loop().time() + seconds
        body, reading = self._body(prompt, max_tokens), self._reading()
        async with self._http.post(self.operation, self._path, body, deadline=deadline) as response:
            async for kind, payload in events(response, self.service, self.operation, deadline):
                for piece in reading.pieces(kind, payload):
                    yield piece
        if reading.stop is None:
            raise unusable(self.service, "broke off its answer")
        yield Ended(reading.stop, reading.input_tokens, reading.output_tokens)

    @abstractmethod
    def _body(self, prompt: Prompt, max_tokens: int) -> bytes:
        """The request."""

    @abstractmethod
    def _reading(self) -> Reading:
        """What reads the answer to one request."""


def unusable(service: str, what: str) -> Transient:
    """What is raised for a stream that is no answer."""
    return Transient(f"{service} {what}", dependency=service)
