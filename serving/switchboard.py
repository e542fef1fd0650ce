"""What the conversations of a process share: the route that answers, the gate, and how many there
may be."""

import time
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol

from domain.events import ANONYMOUS
from serving.chat import ChatRoute
from serving.conversation_meters import ConversationMeters
from serving.kept_context import KeptContext
from serving.meters import Meters
from serving.problems import Problem
from serving.tokens import Gate

MAX_OF_USER = 5
"""Connections of a user to one process."""


class TooManyConnections(Problem):
    """The process or the user has as many connections as it may."""

    def __init__(self, detail: str) -> None:
        super().__init__(HTTPStatus.TOO_MANY_REQUESTS, detail, retry_after="5")


class Contexts(Protocol):
    """What is known of customers before they ask; see `serving/kept_context.py`."""

    def keep(self, session_id: str, user: str) -> KeptContext:
        """The context of a connection, being read from now on."""
        ...


class Switchboard:
    """Counts who is connected. `time` is the clock of deadlines, `clock` that of tokens."""

    def __init__(
        self,
        chat: ChatRoute,
        gate: Gate,
        meters: Meters,
        counted: ConversationMeters,
        contexts: Contexts,
        *,
        limit: int,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.chat = chat.named("ws")
        self.gate = gate
        self.meters = meters
        self.counted = counted
        self.contexts = contexts
        self.clock = clock
        self.time = monotonic
        self._limit = limit
        self._lines = 0
        self._users: Counter[str] = Counter()

    def opened(self) -> None:
        """A client connects; raises TooManyConnections."""
        if self._lines >= self._limit:
            raise TooManyConnections("there are too many connections at the moment")
        self._count(1)

    def closed(self, reason: str) -> None:
        """A connection that was opened has ended."""
        self._count(-1)
        self.counted.closed(reason).inc()

    def checked_in(self, user: str) -> None:
        """A connection turns out to be this user's; raises TooManyConnections."""
        if user != ANONYMOUS and self._users[user] >= MAX_OF_USER:
            raise TooManyConnections(f"a user may have {MAX_OF_USER} connections")
        self._users[user] += 1

    def checked_out(self, user: str) -> None:
        """A connection of this user has ended."""
        self._users[user] -= 1
        if not self._users[user]:
            del self._users[user]

    def _count(self, change: int) -> None:
        self._lines += change
        self.counted.connections.set(self._lines)
