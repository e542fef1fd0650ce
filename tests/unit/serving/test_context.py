"""What is read ahead of a customer: in parallel, each part for itself, and kept while it is new."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from adapters.redis_multiplexed import NotDone
from adapters.redis_sessions import decode_copy, encode_copy
from config.budgets import Budget, declared
from domain.answers import AnswerKey
from domain.errors import Transient
from domain.preferences import Preferences
from domain.sessions import LAST_TURNS, Session, Turn
from domain.tastes import Tastes
from serving.answers import SeenAnswers
from serving.context import (
    MAX_SESSION_BYTES,
    TRENDING,
    ContextReader,
    shortened,
)
from serving.conversation_meters import ConversationMeters
from serving.kept_context import CONFIRM_SECONDS, MAX_AGE_SECONDS, KeptContext
from serving.meters import Meters
from serving.session_reader import SessionReader
from tests import unhurried
from tests.fakes import FakeSessions
from tests.samples import turn
from tests.unit.serving.fakes import NOW, CountingRegistry, stored
from tests.unit.serving.jumping import run

PREFERENCES = Preferences(("ja",), ("action",))
TASTES = {"top_genres_30d": ["drama"]}


@dataclass
class Redis:
    """What Redis knows; reads wait until `gate` is open, and those in `failing` fail."""

    copy: bytes | None = None
    failing: set[str] = field(default_factory=set)
    reads: list[str] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    all_asked: asyncio.Event = field(default_factory=asyncio.Event)
    owner: str | Transient | None = "alice"

    def drop(self, key: str, damaged: bytes, seconds: float) -> None:
        raise NotImplementedError

    async def session_copy(self, session_id: str, seconds: float) -> bytes | None:
        await self._read("session")
        return self.copy

    async def session_owner(self, session_id: str, seconds: float) -> str | None:
        if isinstance(self.owner, Transient):
            raise self.owner
        return self.owner

    async def session_history(self, session_id: str, seconds: float) -> bytes | None:
        raise NotImplementedError

    async def stored_answer(self, key: AnswerKey, seconds: float) -> bytes | None:
        await self._read("trending")
        return stored(key=TRENDING)

    async def preferences(self, user: str, seconds: float) -> Preferences:
        await self._read("preferences")
        return PREFERENCES

    async def recent_titles(self, user: str, count: int, seconds: float) -> Sequence[str]:
        await self._read("interactions")
        return ["t2", "t1"]

    async def read(self, user: str, budget: Budget) -> Tastes:
        await self._read("features")
        return TASTES

    async def _read(self, name: str) -> None:
        self.reads.append(name)
        if len(self.reads) == 5:
            self.all_asked.set()
        await self.gate.wait()
        if name in self.failing:
            raise NotDone("Redis does not answer")


@dataclass
class Table(FakeSessions):
    """The sessions table; counts reads."""

    reads: int = 0
    fault: Transient | None = None

    def __post_init__(self) -> None:
        super().__init__()

    def get(self, session_id: str, owner: str) -> Session | None:
        self.reads += 1
        if self.fault is not None:
            raise self.fault
        return super().get(session_id, owner)


@dataclass
class Shelf:
    """A reader over these."""

    redis: Redis = field(default_factory=Redis)
    table: Table = field(default_factory=Table)
    registry: CountingRegistry = field(default_factory=CountingRegistry)
    seen: SeenAnswers = field(default_factory=SeenAnswers)
    budget: Budget = field(default_factory=lambda: unhurried.budgets().routes["connect"])

    def reader(self) -> ContextReader:
        return ContextReader(
            sessions=SessionReader(self.redis, decode_copy, self.table, Meters(self.registry)),
            users=self.redis,
            tastes=self.redis,
            answers=self.redis,
            seen=self.seen,
            budget=self.budget,
            meters=ConversationMeters(self.registry),
            clock=lambda: NOW,
        )

    def outcome(self, branch: str) -> str:
        ((_, _, outcome),) = [
            key for key in self.registry.sums if key[:2] == ("prefetch_total", branch)
        ]
        return outcome


@pytest.fixture
def shelf() -> Shelf:
    made = Shelf()
    made.redis.copy = encode_copy(Session("s", "alice").with_turns([turn("e1", NOW - 5)]))
    return made


async def test_all_parts_are_read_at_once(shelf: Shelf) -> None:
    reading = asyncio.create_task(shelf.reader().read("s", "alice"))
    await shelf.redis.all_asked.wait()
    assert not reading.done()
    shelf.redis.gate.set()
    context = await reading
    assert list(context.session.turns) == ["e1"]
    assert (context.preferences, context.recent) == (PREFERENCES, ["t2", "t1"])
    assert b"the trending answer" in context.trending
    assert context.tastes == TASTES
    assert shelf.table.reads == 0


@pytest.mark.parametrize(
    "branch", ["session", "preferences", "interactions", "trending", "features"]
)
async def test_a_part_that_fails_leaves_the_others_and_what_was_known(
    shelf: Shelf, branch: str
) -> None:
    shelf.redis.gate.set()
    shelf.redis.failing = {branch}
    shelf.table.fault = Transient("DynamoDB does not answer")
    context = await shelf.reader().read("s", "alice")
    empty = {
        "session": not context.session.turns,
        "preferences": context.preferences == Preferences(),
        "interactions": not context.recent,
        "trending": not context.trending,
        "features": not context.tastes,
    }
    assert [name for name, is_empty in empty.items() if is_empty] == [branch]
    assert shelf.outcome(branch) == "failed"
    whole = (
        await Shelf(Redis(shelf.redis.copy, set(), [], shelf.redis.gate))
        .reader()
        .read("s", "alice")
    )
    assert (await shelf.reader().read("s", "alice", whole)) == whole.__class__(
        pytest.approx(whole.read_at, abs=60),  # type: ignore[arg-type]
        whole.session,
        whole.preferences,
        whole.recent,
        whole.trending,
        whole.tastes,
        is_sure=branch != "session",
    )


async def test_a_part_that_never_answers_is_given_up(shelf: Shelf) -> None:
    shelf.budget = declared().routes["connect"]
    context = await shelf.reader().read("s", "alice")
    assert (context.session.turns, context.recent, context.trending) == ({}, (), b"")
    assert shelf.outcome("preferences") == "failed"


@pytest.mark.parametrize("owner", ["alice", NotDone("Redis does not answer")])
async def test_a_session_without_a_copy_comes_from_the_table(
    shelf: Shelf, owner: str | Transient
) -> None:
    shelf.redis.gate.set()
    shelf.redis.copy, shelf.redis.owner = None, owner
    shelf.table.add_turns("s", "alice", [turn("e7")])
    assert list((await shelf.reader().read("s", "alice")).session.turns) == ["e7"]
    assert list((await shelf.reader().read("s", "bob")).session.turns) == []


@pytest.mark.parametrize(
    ("owner", "is_sure"), [(None, True), ("alice", False), ("bob", False), (NotDone("late"), False)]
)
async def test_a_session_without_turns_is_new_only_where_it_has_no_owner(
    shelf: Shelf, owner: str | Transient | None, is_sure: bool
) -> None:
    shelf.redis.gate.set()
    shelf.redis.copy, shelf.redis.owner = None, owner
    assert (await shelf.reader().read("s", "alice")).is_sure is is_sure


async def test_a_session_that_could_not_be_read_again_is_not_sure_any_more(shelf: Shelf) -> None:
    shelf.redis.gate.set()
    before = await shelf.reader().read("s", "alice")
    shelf.redis.failing = {"session"}
    shelf.table.fault = Transient("DynamoDB does not answer")
    after = await shelf.reader().read("s", "alice", before)
    assert (before.is_sure, after.is_sure, after.session) == (True, False, before.session)


@pytest.mark.parametrize("owner", [None, "bob"])
async def test_of_a_session_that_is_new_or_another_users_the_table_is_not_asked(
    shelf: Shelf, owner: str | None
) -> None:
    shelf.redis.gate.set()
    shelf.redis.copy, shelf.redis.owner = None, owner
    shelf.table.add_turns("s", "alice", [turn("e7")])
    assert (await shelf.reader().read("s", "alice")).session == Session("s", "alice")
    assert shelf.table.reads == 0


@pytest.mark.parametrize("copy_of", ["bob", ""])
async def test_another_users_session_is_not_known(shelf: Shelf, copy_of: str) -> None:
    shelf.redis.gate.set()
    shelf.redis.copy = encode_copy(Session("s", copy_of).with_turns([turn("e1")]))
    context = await shelf.reader().read("s", "alice")
    assert (context.session, shelf.table.reads) == (Session("s", "alice"), 0)


async def test_of_somebody_not_signed_in_nothing_personal_is_read(shelf: Shelf) -> None:
    shelf.redis.gate.set()
    await shelf.reader().read("s", "")
    assert sorted(shelf.redis.reads) == ["session", "trending"]


async def test_what_the_process_knows_of_trending_is_not_read_again(shelf: Shelf) -> None:
    shelf.redis.gate.set()
    first = await shelf.reader().read("s", "alice")
    second = await shelf.reader().read("s", "alice")
    assert shelf.redis.reads.count("trending") == 1
    assert second.trending is first.trending


async def test_a_context_is_read_again_when_it_is_used_and_old(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.redis.gate.set()
    kept = KeptContext(shelf.reader(), "s", "alice")
    await kept.ready()
    kept.use()
    assert shelf.redis.reads.count("session") == 1
    loop = asyncio.get_running_loop()
    later = loop.time() + MAX_AGE_SECONDS + 1
    monkeypatch.setattr(loop, "time", lambda: later)
    kept.use()
    kept.use()
    monkeypatch.undo()
    await settled(kept)
    assert shelf.redis.reads.count("session") == 2


async def settled(kept: KeptContext) -> None:
    for _ in range(2):
        task = kept._reading or kept._tasting
        if task is not None:
            await task


async def test_a_question_does_not_wait_for_features_that_only_a_table_has(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.redis.gate.set()
    is_read = asyncio.Event()

    async def late(user: str, _budget: Budget) -> Tastes:
        await is_read.wait()
        return {"liked": (user,)}

    monkeypatch.setattr(shelf.redis, "read", late)
    kept = KeptContext(shelf.reader(), "s", "alice")
    first = await kept.ready()
    assert (first.is_sure, first.tastes) == (True, {})
    is_read.set()
    await settled(kept)
    assert kept.known is not None
    assert kept.known.tastes == {"liked": ("alice",)}
    kept.drop()


async def test_what_was_answered_is_known_before_it_is_stored(shelf: Shelf) -> None:
    shelf.redis.gate.set()
    kept = KeptContext(shelf.reader(), "s", "alice")
    await kept.ready()
    kept.note(Turn("e2", "m-2", "and then?", "this", NOW))
    kept._read()
    await settled(kept)
    assert kept.known is not None
    assert [each.event_id for each in kept.known.session.in_order()] == ["e1", "e2"]


async def test_what_was_taken_back_meanwhile_is_known_a_while_after_its_answer(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.kept_context.CONFIRM_SECONDS", 0.0)
    shelf.redis.gate.set()
    kept = KeptContext(shelf.reader(), "s", "alice")
    first = await kept.ready()
    answer = turn("e2", NOW)
    stored = first.session.with_turns([answer.retracted("taken back")])
    shelf.redis.copy = encode_copy(stored)
    kept.note(answer)
    await asyncio.sleep(0.01)
    assert shelf.redis.reads.count("session") == 1, "that one stays what it is"
    kept.note(answer, may_be_taken_back=True)
    while shelf.redis.reads.count("session") == 1:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0)
    await settled(kept)
    assert kept.known is not None
    assert kept.known.session.turns["e2"].answer_preview == "taken back"
    kept.note(answer, may_be_taken_back=True)
    kept.drop()
    await asyncio.sleep(0.01)
    assert shelf.redis.reads.count("session") == 2


async def test_what_is_answered_while_it_is_read_again_is_known_too(shelf: Shelf) -> None:
    shelf.redis.gate.set()
    kept = KeptContext(shelf.reader(), "s", "alice")
    await kept.ready()
    shelf.redis.gate.clear()
    shelf.redis.reads.clear()
    shelf.redis.all_asked.clear()
    kept._read()
    while "session" not in shelf.redis.reads:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0)
    kept.note(turn("e2", NOW))
    shelf.redis.gate.set()
    await settled(kept)
    assert kept.known is not None
    assert list(kept.known.session.turns) == ["e2", "e1"]


async def test_what_is_answered_before_anything_is_known_is_known_then(shelf: Shelf) -> None:
    kept = KeptContext(shelf.reader(), "s", "alice")
    for number in range(LAST_TURNS + 1):
        kept.note(turn(f"early-{number}", NOW + number))
    shelf.redis.gate.set()
    known = await kept.ready()
    assert f"early-{LAST_TURNS}" in known.session.turns
    await settled(kept)
    kept.drop()


def test_each_answer_of_the_model_is_confirmed_however_soon_the_next_one_comes(
    shelf: Shelf,
) -> None:
    async def steps() -> None:
        shelf.redis.gate.set()
        kept = KeptContext(shelf.reader(), "s", "alice")
        await kept.ready()
        kept.note(turn("e2", NOW), may_be_taken_back=True)
        await asyncio.sleep(CONFIRM_SECONDS / 2)
        kept.note(turn("e3", NOW), may_be_taken_back=True)
        await asyncio.sleep(2 * CONFIRM_SECONDS)
        assert shelf.redis.reads.count("session") == 3
        await settled(kept)
        kept.drop()

    run(steps())


async def test_of_a_new_session_the_turns_are_not_looked_for(shelf: Shelf) -> None:
    shelf.redis.gate.set()
    known = await shelf.reader().read("s", "alice", is_new=True)
    assert (known.session, known.is_sure) == (Session("s", "alice"), True)
    assert sorted(shelf.redis.reads) == ["features", "interactions", "preferences", "trending"]


async def test_nothing_is_kept_of_a_client_that_has_gone(shelf: Shelf) -> None:
    kept = KeptContext(shelf.reader(), "s", "alice")
    reading = kept._read()
    kept.drop()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert kept.known is None
    assert (await kept.ready()).session == Session("s", "alice")


def test_a_context_holds_the_last_turns_and_no_more_bytes_than_allowed() -> None:
    many = Session("s", "a").with_turns(turn(f"e{n}", NOW + n) for n in range(20))
    assert list(shortened(many).turns) == [f"e{n}" for n in range(19, 19 - LAST_TURNS, -1)]
    long = Session("s", "a").with_turns(
        Turn(f"e{n}", "m", "あ" * 4000, "い" * 200, NOW + n) for n in range(20)
    )
    assert list(shortened(long).turns) == ["e19"]
    assert len("あ" * 4000 + "い" * 200) * 3 < MAX_SESSION_BYTES
