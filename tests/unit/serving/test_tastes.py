"""What features tell of a customer's tastes: from where, within which time, and how much."""

import asyncio
from dataclasses import dataclass, field

import pytest

from adapters.redis_multiplexed import NotDone
from config import budgets
from domain.errors import Transient
from domain.features import GroupRecord, UserFeatures
from domain.tastes import MAX_VALUES, tastes
from serving.backends import Hot
from serving.meters import Meters
from serving.tastes import TasteReader
from tests.unit.serving.fakes import NOW, CountingRegistry

BUDGET = budgets.declared().routes["chat"]
WANTED = ("favourite_genres", "top_genres_30d")


def user(**values: str) -> UserFeatures:
    return UserFeatures("alice", {"user-profile": GroupRecord(NOW - 1, values)})


@dataclass
class Places:
    """Redis and DynamoDB, each with features or what goes wrong."""

    hot_one: UserFeatures | Transient | None = None
    cached_one: UserFeatures | Transient | None = None
    reads: list[str] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def hot(self, user_id: str, seconds: float) -> Hot:
        self.reads.append("hot")
        if isinstance(self.hot_one, Transient):
            raise self.hot_one
        return Hot(self.hot_one)

    async def cached(self, user_id: str) -> UserFeatures | None:
        self.reads.append("cached")
        await self.gate.wait()
        if isinstance(self.cached_one, Transient):
            raise self.cached_one
        return self.cached_one


def reader(places: Places, registry: CountingRegistry | None = None) -> TasteReader:
    meters = Meters(registry or CountingRegistry())
    return TasteReader(places, meters, wanted=WANTED, clock=lambda: NOW)


async def test_of_who_is_here_only_redis_is_asked() -> None:
    places = Places(user(favourite_genres="action, drama"))
    assert await reader(places).read("alice", BUDGET) == {"favourite_genres": ["action", "drama"]}
    assert places.reads == ["hot"]


@pytest.mark.parametrize("hot", [None, NotDone("down")])
async def test_of_who_is_not_here_or_cannot_be_told_dynamodb_is(hot: Transient | None) -> None:
    places = Places(hot, user(top_genres_30d="gag"))
    places.gate.set()
    assert await reader(places).read("alice", BUDGET) == {"top_genres_30d": ["gag"]}
    places.cached_one = None
    assert await reader(places).read("alice", BUDGET) is None


async def test_a_table_that_is_late_is_given_up() -> None:
    registry = CountingRegistry()
    with pytest.raises(Transient):
        await reader(Places(), registry).read("alice", BUDGET)
    assert registry.sums["budget_exceeded_total", "dynamodb"] == 1


async def test_of_whom_nothing_is_known_nobody_is_asked_again() -> None:
    places = Places(UserFeatures("alice", {}))
    assert await reader(places).read("alice", BUDGET) == {}
    assert places.reads == ["hot"]


def test_only_what_is_wanted_live_few_and_short_is_told() -> None:
    many = ",".join(f"g{n}" for n in range(20))
    told = UserFeatures(
        "alice",
        {
            "user-profile": GroupRecord(1.0, {"favourite_genres": many, "last_read_id": "t-1"}),
            "user-activity": GroupRecord(1.0, {"top_genres_30d": "old"}, expires_at=NOW),
        },
    )
    assert tastes(told, WANTED, NOW) == {"favourite_genres": [f"g{n}" for n in range(MAX_VALUES)]}
    odd = user(favourite_genres=" ,action,,action," + "x" * 41 + ",a\nb")
    assert tastes(odd, WANTED, NOW) == {"favourite_genres": ["action"]}
    assert tastes(user(), WANTED, NOW) == {}
