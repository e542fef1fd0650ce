"""What is known of a customer before a question comes: read in parallel, each part for itself.

Each branch has its own time; one that fails leaves the others, and what was known before. Nothing
here is waited for by a question that has a stored answer.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from config.budgets import Budget
from domain.answers import DEFAULT_LOCALE, AnswerKey
from domain.errors import Transient
from domain.preferences import Preferences
from domain.sessions import Session, Turn
from domain.tastes import Tastes
from serving.answers import SeenAnswers
from serving.conversation_meters import ConversationMeters
from serving.outbox import Reader
from serving.session_reader import SessionReader

log = logging.getLogger(__name__)

MAX_SESSION_BYTES = 16 * 1024
RECENT_TITLES = 10
TRENDING = AnswerKey("trending", "", DEFAULT_LOCALE)

_NO_PREFERENCES = Preferences()

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class Context:
    """What is known; `trending` is the body of the stored answer, shared by all who know it.

    `is_sure` is whether the session is known as it is: one that could not be read, or whose turns
    are nowhere yet, may have more of them.
    """

    read_at: float
    session: Session
    preferences: Preferences = _NO_PREFERENCES
    recent: Sequence[str] = ()
    trending: bytes = b""
    tastes: Tastes = field(default_factory=dict)
    is_sure: bool = False

    def with_turns(self, turns: Iterable[Turn]) -> "Context":
        """Knowing these turns too."""
        return replace(self, session=shortened(self.session.with_turns(turns)))


@dataclass(frozen=True, slots=True)
class _Talk:
    session: Session
    is_sure: bool


class UserReads(Protocol):
    """What Redis knows of a user; both raise Transient."""

    async def preferences(self, user: str, seconds: float) -> Preferences:
        """What the user turns out to prefer."""
        ...

    async def recent_titles(self, user: str, count: int, seconds: float) -> Sequence[str]:
        """The titles that the user did something with lately, newest first."""
        ...


class ReadsTastes(Protocol):
    """What features tell of a user; see `serving/tastes.py`."""

    async def read(self, user: str, budget: Budget) -> Tastes | None:
        """The tastes; None where nothing is known. Raises Transient."""
        ...


class ContextReader:
    """Reads contexts, within the budget of the route `connect`."""

    def __init__(
        self,
        *,
        sessions: SessionReader,
        users: UserReads,
        tastes: ReadsTastes,
        answers: Reader,
        seen: SeenAnswers,
        budget: Budget,
        meters: ConversationMeters,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sessions = sessions
        self._users = users
        self._tastes = tastes
        self._answers = answers
        self._seen = seen
        self._budget = budget
        self._meters = meters
        self._clock = clock

    async def read(
        self, session_id: str, user: str, known: Context | None = None, *, is_new: bool = False
    ) -> Context:
        """The context; `known` stays where nothing newer can be read. Never raises Transient.

        Of a new session the turns are not read: there are none.
        """
        before = known or Context(0.0, Session(session_id, user))
        context, tastes = await asyncio.gather(
            self._all_but_tastes(before, is_new=is_new), self.tastes(user, before.tastes)
        )
        return replace(context, tastes=tastes)

    async def at_hand(self, session_id: str, user: str, known: Context | None = None) -> Context:
        """The same without newer tastes: of a new session all the rest is in Redis."""
        return await self._all_but_tastes(known or Context(0.0, Session(session_id, user)))

    async def tastes(self, user: str, known: Tastes) -> Tastes:
        """What features tell of a user, who may be known to DynamoDB alone."""
        return await self._branch("features", self._features(user), known)

    async def _all_but_tastes(self, before: Context, *, is_new: bool = False) -> Context:
        user = before.session.owner
        unread, new = _Talk(before.session, is_sure=False), _Talk(before.session, is_sure=True)
        talk, preferences, recent, trending = await asyncio.gather(
            self._branch("session", self._session(before.session, is_new=is_new), unread, new),
            self._branch("preferences", self._preferences(user), before.preferences),
            self._branch("interactions", self._recent(user), before.recent),
            self._branch("trending", self._trending(), before.trending),
        )
        now = asyncio.get_running_loop().time()
        session, is_sure = talk.session, talk.is_sure
        return Context(now, session, preferences, recent, trending, before.tastes, is_sure)

    async def _branch(
        self, name: str, read: Awaitable[Part | None], before: Part, nothing: Part | None = None
    ) -> Part:
        """What is read; `before` where that fails, `nothing`, or else `before`, where none is."""
        started, otherwise = time.perf_counter(), before
        try:
            async with asyncio.timeout(self._budget.total_ms / 1000):
                found = await read
            outcome = "nothing" if found is None else "found"
            otherwise = before if nothing is None else nothing
        except (Transient, TimeoutError) as error:
            log.debug("%s could not be read ahead: %s", name, error)
            found, outcome = None, "failed"
        self._meters.prefetch_seconds(name).observe(time.perf_counter() - started)
        self._meters.prefetched(name, outcome).inc()
        return otherwise if found is None else found

    async def _session(self, before: Session, *, is_new: bool) -> _Talk | None:
        """What was said; None for a session that is new. Raises Transient where that is not known.

        A session that has its owner had a question, though its turns may not be stored yet.
        """
        if is_new:
            return None
        session_id, owner = before.session_id, before.owner
        seconds = self._budget.seconds("redis")
        found, known_owner = await asyncio.gather(
            self._sessions.copy(session_id, seconds), self._owner(session_id, owner)
        )
        if found is None and known_owner == owner:
            seconds = self._budget.seconds("dynamodb")
            found = await self._sessions.stored(session_id, owner, seconds)
        if found is None and known_owner is None:
            return None
        if found is None or found.owner != owner:
            raise Transient("the turns of a session are not known yet", dependency="sessions")
        # What was answered here may not be stored yet.
        return _Talk(shortened(found.with_turns(before.turns.values())), is_sure=True)

    async def _owner(self, session_id: str, otherwise: str) -> str | None:
        """Whose the session is by Redis: of a new one the table need not be asked."""
        try:
            return await self._sessions.owner(session_id, self._budget.seconds("redis"))
        except Transient:
            return otherwise

    async def _preferences(self, user: str) -> Preferences | None:
        if not user:
            return None
        return await self._users.preferences(user, self._budget.seconds("redis"))

    async def _recent(self, user: str) -> Sequence[str] | None:
        if not user:
            return None
        seconds = self._budget.seconds("redis")
        return await self._users.recent_titles(user, RECENT_TITLES, seconds)

    async def _features(self, user: str) -> Tastes | None:
        return await self._tastes.read(user, self._budget) if user else None

    async def _trending(self) -> bytes | None:
        key = TRENDING.redis_key()
        seen = self._seen.last(key, self._clock())
        if seen is None:
            stored = await self._answers.stored_answer(TRENDING, self._budget.seconds("redis"))
            self._seen.learn(key, stored or b"")
            seen = self._seen.last(key, self._clock())
        return None if seen is None else seen.body


def shortened(session: Session) -> Session:
    """The session with no more of its last turns than a prompt needs and a connection may hold."""
    kept: dict[str, Turn] = {}
    size = 0
    for turn in reversed(session.last().in_order()):
        size += len(turn.question.encode()) + len(turn.answer_preview.encode())
        if kept and size > MAX_SESSION_BYTES:
            break
        kept[turn.event_id] = turn
    return replace(session, turns=kept)
