"""What is known of the customer of one connection: read ahead, and again when it is old."""

import asyncio
from dataclasses import replace
from typing import Protocol

from domain.sessions import LAST_TURNS, Session, Turn
from domain.tastes import Tastes
from serving.context import Context

AFTER_SECONDS = 0.01
"""A question that comes with the connection goes first: most need nothing of this."""
MAX_AGE_SECONDS = 30.0
"""From the second seed: what is older is read again."""
CONFIRM_SECONDS = 5.0
"""By then an answer of the model is checked, and the session says where it was taken back."""


class ReadsAgain(Protocol):
    """Reads contexts; see `serving/context.py`."""

    async def at_hand(self, session_id: str, user: str, known: Context | None = None) -> Context:
        """The context without newer tastes; `known` stays where nothing newer can be read."""
        ...

    async def tastes(self, user: str, known: Tastes) -> Tastes:
        """What features tell of a user; `known` where nothing newer can be read."""
        ...


class KeptContexts:
    """The contexts of connections."""

    def __init__(self, reader: ReadsAgain) -> None:
        self._reader = reader

    def keep(self, session_id: str, user: str) -> "KeptContext":
        """The context of a connection, being read from now on."""
        return KeptContext(self._reader, session_id, user)


class KeptContext:
    """The context of one connection: read once it is open, again when it is used and old."""

    __slots__ = (
        "_confirm_at", "_confirming", "_early", "_is_over", "_known", "_reader", "_reading",
        "_session_id", "_soon", "_tasting", "_user",
    )  # fmt: skip

    def __init__(self, reader: ReadsAgain, session_id: str, user: str) -> None:
        self._reader = reader
        self._session_id = session_id
        self._user = user
        self._known: Context | None = None
        self._reading: asyncio.Task[None] | None = None
        self._tasting: asyncio.Task[None] | None = None
        """What goes on behind it: no question waits for DynamoDB."""
        self._is_over = False
        self._early: tuple[Turn, ...] = ()
        """What was answered before anything was known."""
        self._confirming: asyncio.TimerHandle | None = None
        self._confirm_at = 0.0
        loop = asyncio.get_running_loop()
        self._soon: asyncio.TimerHandle | None = loop.call_later(AFTER_SECONDS, self._read)

    @property
    def known(self) -> Context | None:
        """What is known now; None while the first reading is under way."""
        return self._known

    def use(self) -> None:
        """A question came: have what is old read again, behind it."""
        if self._known is not None:
            age = asyncio.get_running_loop().time() - self._known.read_at
            if age > MAX_AGE_SECONDS:
                self._read()

    async def ready(self) -> Context:
        """What is known, once something is."""
        if self._known is None and not self._is_over:
            reading = self._reading or self._read()
            await asyncio.wait({reading})
        return self._known or Context(0.0, Session(self._session_id, self._user))

    def note(self, turn: Turn, *, may_be_taken_back: bool = False) -> None:
        """Remember what was just answered; where it may be taken back, read again a while after."""
        if self._is_over:
            return
        if self._known is None:
            self._early = (*self._early, turn)[-LAST_TURNS:]
        else:
            self._known = self._known.with_turns([turn])
        if may_be_taken_back:
            loop = asyncio.get_running_loop()
            self._confirm_at = loop.time() + CONFIRM_SECONDS
            if self._confirming is None:
                self._confirming = loop.call_at(self._confirm_at, self._confirm)

    def drop(self) -> None:
        """The client has gone: forget everything."""
        self._is_over = True
        for timer in (self._soon, self._confirming):
            if timer is not None:
                timer.cancel()
        for task in (self._reading, self._tasting):
            if task is not None:
                task.cancel()
        self._known = self._reading = self._tasting = None
        self._early = ()

    def _read(self) -> asyncio.Task[None]:
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        if self._reading is None:
            self._reading = asyncio.create_task(self._refresh(), name="read ahead")
        return self._reading

    def _confirm(self) -> None:
        """Read again; once more where there was another answer since."""
        loop, self._confirming = asyncio.get_running_loop(), None
        self._read()
        if self._confirm_at > loop.time():
            self._confirming = loop.call_at(self._confirm_at, self._confirm)

    async def _refresh(self) -> None:
        before = self._known
        try:
            found = await self._reader.at_hand(self._session_id, self._user, before)
            if self._known is not None and self._known is not before:
                found = found.with_turns(self._known.session.turns.values())  # noted meanwhile
            self._known, self._early = found.with_turns(self._early), ()
        finally:
            self._reading = None
        self._tasting = asyncio.create_task(self._taste(found), name="read tastes ahead")

    async def _taste(self, known: Context) -> None:
        tastes = await self._reader.tastes(self._user, known.tastes)
        if self._known is not None:
            self._known = replace(self._known, tastes=tastes)
