"""What the response cache needs of its surroundings, as protocols."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from adapters.redis_serving_responses import Claim, Mine, Shared
from domain.response_cache import Generated, StoredResponse
from serving.flights import Emit
from serving.registry import Counter

STORE_SECONDS = 0.5
"""What a call of the store may take: it is not the one round trip of an answer."""

Compute = Callable[[Emit], Awaitable[Generated]]
"""Asks the model, passing on each piece of text as it comes.

Raises a MangaAssistError where there is no answer. Is cancelled when everybody who waits has left.
"""

Ahead = Callable[[], asyncio.Task[Any]]
"""Begins a part of the computation; the task is cancelled where nobody here computes."""


class ResponseStore(Protocol):
    """Redis; every method raises Transient. `adapters/redis_serving_responses` has the details."""

    async def claim(self, key: str, token: str, known: int, seconds: float) -> bytes | Mine | Claim:
        """The response, if there is one newer than the version `known`, else who makes it."""
        ...

    async def read(self, key: str, seconds: float) -> bytes | None:
        """The response, if there is one."""
        ...

    async def share(
        self,
        response: StoredResponse,
        stored: bytes,
        *,
        token: str,
        kept_seconds: float,
        event: bytes,
        seconds: float,
    ) -> Shared:
        """Give a response to those who wait for it, write the event, and end the lease."""
        ...

    async def write(self, key: str, event: bytes, seconds: float) -> None:
        """Write an event of a response that is not kept."""
        ...

    async def release(self, key: str, token: str, failing_seconds: float, seconds: float) -> None:
        """Give the lease back; nobody tries again for `failing_seconds`."""
        ...

    async def drop(self, key: str, damaged: bytes, seconds: float) -> None:
        """Delete a damaged response, unless it was replaced since."""
        ...


class Wire(Protocol):
    """How responses are written and read."""

    def pack(self, response: StoredResponse) -> bytes | None:
        """The bytes to store; None for what is too large."""
        ...

    def unpack(self, stored: bytes, key: str, owner: bytes | None = None) -> StoredResponse:
        """The response in these bytes; raises Damaged."""
        ...


class Counts(Protocol):
    """The counters of the cache, each bound by its label."""

    def responses(self, outcome: str) -> Counter:
        """Questions that were put to the cache."""
        ...

    def refreshes(self, outcome: str) -> Counter:
        """Responses made anew in the background."""
        ...

    def invalid(self, reason: str) -> Counter:
        """Stored bytes that were no good response."""
        ...
