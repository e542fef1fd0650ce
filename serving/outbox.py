"""How the request path hands events over, and what it does with those it could not.

Redis takes them in the round trip that reads the answer; what it does not take, and a copy of what
it may lose, goes to an `EventSink` before the response goes out (`serving/spooling.py`).
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Protocol

from adapters.redis_serving import Answered, First
from domain.answers import AnswerKey
from domain.errors import Transient
from domain.events import Event


class Stock(Protocol):
    """Redis as the request path needs it; the callbacks get what `adapters/redis_serving` says."""

    def serve(
        self,
        *,
        answer_key: str,
        fallback_key: str,
        session_id: str,
        owner: str,
        event: bytes,
        seconds: float,
        found: Callable[[Answered, bool], None],
        first: First | None = None,
    ) -> None:
        """Read an answer and write the event, in one round trip."""
        ...

    def append(
        self,
        events: Sequence[tuple[str, bytes]],
        seconds: float,
        written: Callable[[Sequence[Transient | None]], None],
    ) -> None:
        """Write events, each with what it is spread by."""
        ...

    def drop(self, key: str, damaged: bytes, seconds: float) -> None:
        """Delete a damaged value unless it was replaced since; nobody waits for it."""
        ...


class Reader(Protocol):
    """Reads outside the one round trip of a question."""

    async def stored_answer(self, key: AnswerKey, seconds: float) -> bytes | None:
        """One stored answer; raises Transient."""
        ...


class EventSink(Protocol):
    """Takes the events that the outbox did not, or of which that is not known."""

    def keep(
        self, kind: str, events: Sequence[bytes], done: Callable[[bool], None], *, is_audited: bool
    ) -> None:
        """Take all of these or none; `done` learns which, once they would outlive this process.

        It is called later in the same turn of the event loop.
        """
        ...

    def copy(self, events: Sequence[bytes], done: Callable[[], None]) -> None:
        """Copy events that the outbox took, against their loss there.

        `done` is called once the copies would outlive this process, or could not be made; as above.
        """
        ...


class DrySink:
    """Where nothing is kept: for the warm-up."""

    def keep(
        self, kind: str, events: Sequence[bytes], done: Callable[[bool], None], *, is_audited: bool
    ) -> None:
        """Say that they are kept."""
        done(True)

    def copy(self, events: Sequence[bytes], done: Callable[[], None]) -> None:
        """Say that they are copied."""
        done()


class Producer:
    """Names this process in its events and numbers them without a gap."""

    def __init__(self, name: str, encode: Callable[[Event], bytes]) -> None:
        self.name = name
        self.encode = encode
        self.next = itertools.count(1).__next__
