"""Making a recommendation while its user waits: sources, budgets, and one at a time for a user."""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from config import budgets
from domain.errors import Transient
from domain.features import GroupRecord, UserFeatures
from domain.recommendations import RecommendationRequest, Recommended
from serving.backends import Hot
from serving.meters import Meters
from serving.recommending import (
    REMEMBER_SECONDS,
    RESERVE_SECONDS,
    Found,
    Made,
    Recommending,
    Spent,
)
from tests.unit.serving.fakes import NOW, CountingRegistry
from tests.unit.serving.jumping import now, run

BUDGET = budgets.declared().routes["recommendations"]
TOTAL = BUDGET.total_ms / 1000
GENRES = {"user-profile": GroupRecord(NOW - 9, {"favourite_genres": "Action"})}
ITEMS = [Recommended("a", 1.0)]


@dataclass
class FakeBackends:
    """Every source with what it has, how long it takes and whether it fails."""

    in_redis: UserFeatures | None = None
    recent: Sequence[str] = ()
    in_dynamodb: UserFeatures | None = None
    in_store: UserFeatures | None = None
    items: Sequence[Recommended] = field(default_factory=lambda: ITEMS)
    seconds: dict[str, float] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    asked: list[tuple[RecommendationRequest, float]] = field(default_factory=list)

    async def hot(self, user_id: str, seconds: float) -> Hot:
        await self._call("redis")
        return Hot(self.in_redis, self.recent)

    async def cached(self, user_id: str) -> UserFeatures | None:
        await self._call("dynamodb")
        return self.in_dynamodb

    async def stored(self, user_id: str) -> UserFeatures | None:
        await self._call("feature_store")
        return self.in_store

    def note_unknown(self, user_id: str) -> None:
        self.in_redis = UserFeatures(user_id, {})

    async def recommend(
        self, request: RecommendationRequest, seconds: float
    ) -> Sequence[Recommended]:
        self.asked.append((request, seconds))
        await self._call("model")
        return self.items

    async def _call(self, name: str) -> None:
        self.calls.append(name)
        await asyncio.sleep(self.seconds.get(name, 0.001))
        if name in self.failing:
            raise Transient("it is down")


class Bench:
    """One Recommending over fakes."""

    def __init__(self, backends: FakeBackends) -> None:
        self.backends = backends
        self.registry = CountingRegistry()
        self.done: list[Made] = []
        self.missed: list[Made] = []
        self.recommending = Recommending(
            backends,
            BUDGET,
            Meters(self.registry),
            wanted=["favourite_genres"],
            limit=10,
            done=self.done.append,
            missed=self.missed.append,
            clock=lambda: NOW,
        )

    async def find(self, user_id: str = "ann", seconds: float = TOTAL) -> Found | None:
        return await self.recommending.find(user_id, seconds, Spent())

    def exceeded(self, segment: str) -> float:
        return self.registry.sums.get(("budget_exceeded_total", segment), 0)


def known(user_id: str = "ann") -> UserFeatures:
    return UserFeatures(user_id, GENRES)


@pytest.mark.parametrize(
    ("backends", "calls"),
    [
        (FakeBackends(in_redis=known()), ["redis", "model"]),
        (FakeBackends(in_dynamodb=known()), ["redis", "dynamodb", "model"]),
        (FakeBackends(in_store=known()), ["redis", "dynamodb", "feature_store", "model"]),
        (FakeBackends(recent=["a"]), ["redis", "dynamodb", "feature_store", "model"]),
        (FakeBackends(), ["redis", "dynamodb", "feature_store"]),
    ],
    ids=["hot", "warm", "cold", "history alone", "unknown"],
)
def test_each_source_is_asked_only_where_the_faster_ones_have_nothing(
    backends: FakeBackends, calls: list[str]
) -> None:
    found = run(Bench(backends).find())
    assert backends.calls == calls
    assert found is not None
    assert list(found.made.items) == (ITEMS if "model" in calls else [])


def test_the_model_learns_no_user() -> None:
    backends = FakeBackends(in_dynamodb=known(), recent=["a"])
    run(Bench(backends).find())
    ((request, _),) = backends.asked
    assert request.features == {"user-profile": {"favourite_genres": "Action"}}
    assert request.recent == ["a"]
    assert "ann" not in repr(request)


def test_what_was_made_is_told_once_and_remembered_for_a_while() -> None:
    bench = Bench(FakeBackends(in_store=known()))

    async def steps() -> None:
        first, second = await bench.find(), await bench.find()
        assert first is not None
        assert second is not None
        assert (first.is_remembered, second.is_remembered) == (False, True)
        await asyncio.sleep(REMEMBER_SECONDS)
        third = await bench.find()
        assert third is not None
        assert not third.is_remembered

    run(steps())
    assert len(bench.done) == 2
    assert bench.done[0].is_unmerged
    assert bench.done[0].generated_at == NOW


def test_whoever_asks_at_once_gets_what_one_computation_made() -> None:
    bench = Bench(FakeBackends(in_dynamodb=known()))

    async def steps() -> list[Found | None]:
        return list(await asyncio.gather(*(bench.find() for _ in range(50))))

    found = run(steps())
    assert all(one is not None and one.made.user_id == "ann" for one in found)
    assert bench.backends.calls.count("model") == 1


def test_each_user_gets_what_was_made_for_that_user() -> None:
    bench = Bench(FakeBackends(in_dynamodb=known()))

    async def steps() -> list[Found | None]:
        users = [f"user-{number % 7}" for number in range(70)]
        return list(await asyncio.gather(*(bench.find(user) for user in users)))

    for number, found in enumerate(run(steps())):
        assert found is not None
        assert found.made.user_id == f"user-{number % 7}"
    assert bench.backends.calls.count("model") == 7


@pytest.mark.parametrize("down", ["redis", "dynamodb", "feature_store"])
def test_without_a_source_the_others_are_enough(down: str) -> None:
    backends = FakeBackends(recent=["a"], in_dynamodb=known(), in_store=known(), failing={down})
    assert run(Bench(backends).find()) is not None


def test_the_feature_store_does_not_stand_in_for_a_dynamodb_that_is_down() -> None:
    bench = Bench(FakeBackends(in_store=known(), failing={"dynamodb"}))
    assert run(bench.find()) is None
    assert "feature_store" not in bench.backends.calls
    assert [made.is_unmerged for made in bench.missed] == [False], "a worker makes it"


def test_what_was_made_without_the_features_is_made_anew_by_a_worker() -> None:
    bench = Bench(FakeBackends(recent=["a"], in_dynamodb=known(), failing={"dynamodb"}))
    assert run(bench.find()) is not None
    assert len(bench.done) == len(bench.missed) == 1


def test_the_feature_store_is_not_asked_again_of_whom_it_has_nothing() -> None:
    bench = Bench(FakeBackends())

    async def steps() -> None:
        for _ in range(3):
            found = await bench.find()
            assert found is not None
            assert not found.made.items
            await asyncio.sleep(REMEMBER_SECONDS)
        bench.backends.recent = ["a"]
        found = await bench.find()
        assert found is not None
        assert list(found.made.items) == ITEMS, "what the user does is known at once"

    run(steps())
    assert bench.backends.calls.count("feature_store") == 1
    assert bench.backends.calls.count("dynamodb") == 1


def test_without_the_model_there_is_none_and_nothing_is_remembered() -> None:
    bench = Bench(FakeBackends(in_dynamodb=known(), failing={"model"}))
    assert run(bench.find()) is None
    assert run(bench.find()) is None
    assert bench.backends.calls.count("model") == 2
    assert not bench.done
    assert [made.user_id for made in bench.missed] == ["ann", "ann"], "a worker makes it"


def test_a_read_that_is_late_is_sent_once_more_and_not_taken_for_absence() -> None:
    bench = Bench(FakeBackends(in_dynamodb=known(), in_store=known()))
    bench.backends.seconds = {"dynamodb": BUDGET.seconds("dynamodb") + 0.02}
    found = run(bench.find())
    assert found is not None
    assert not found.made.is_unmerged
    assert bench.backends.calls == ["redis", "dynamodb", "dynamodb", "model"]
    assert bench.exceeded("dynamodb") == 1


def test_a_late_read_that_fails_leaves_the_other_its_chance() -> None:
    class Flaky(FakeBackends):
        async def cached(self, user_id: str) -> UserFeatures | None:
            self.calls.append("dynamodb")
            if self.calls.count("dynamodb") == 1:
                await asyncio.sleep(0.02)
                raise Transient("reset")
            await asyncio.sleep(0.03)
            return known(user_id)

    bench = Bench(Flaky())
    assert run(bench.find()) is not None
    assert bench.backends.calls == ["redis", "dynamodb", "dynamodb", "model"]


def test_when_both_reads_are_late_a_worker_makes_it() -> None:
    bench = Bench(FakeBackends(in_dynamodb=known(), in_store=known(), seconds={"dynamodb": 1.0}))
    assert run(bench.find()) is None
    assert bench.backends.calls == ["redis", "dynamodb", "dynamodb"]
    assert [made.user_id for made in bench.missed] == ["ann"]


def test_a_store_that_is_late_is_not_taken_for_one_that_has_nothing() -> None:
    bench = Bench(FakeBackends(in_store=known(), seconds={"feature_store": 1.0}))
    assert run(bench.find()) is None
    (missed,) = bench.missed
    assert missed.is_unmerged, "a worker has more time"
    assert run(bench.find()) is None
    assert bench.backends.calls.count("feature_store") == 2, "nothing is remembered of that"


def test_a_defect_of_a_source_costs_the_user_no_answer() -> None:
    class Broken(FakeBackends):
        async def cached(self, user_id: str) -> UserFeatures | None:
            raise ZeroDivisionError

    assert run(Bench(Broken()).find()) is None


SLOW = [
    set(names)
    for count in range(1, 5)
    for names in itertools.combinations(("redis", "dynamodb", "feature_store", "model"), count)
]


@pytest.mark.parametrize("slow", SLOW, ids=lambda names: "+".join(sorted(names)))
@pytest.mark.parametrize("spent_before", [0.0, 0.3, 0.46])
def test_however_slow_a_dependency_is_the_total_is_kept(
    slow: set[str], spent_before: float
) -> None:
    seconds = {name: 10 * BUDGET.seconds(name) for name in slow}
    bench = Bench(FakeBackends(recent=["a"], in_store=known(), seconds=seconds))

    async def steps() -> float:
        began = now()
        await bench.find(seconds=TOTAL - spent_before)
        return now() - began

    took = run(steps())
    assert spent_before + took <= TOTAL
    assert took <= max(0.0, TOTAL - spent_before - RESERVE_SECONDS) + 1e-9
    for name in slow & set(bench.backends.calls):
        if spent_before == 0.0:
            assert bench.exceeded(name) == 1


def test_the_model_gets_no_more_than_its_budget() -> None:
    bench = Bench(FakeBackends(in_redis=known()))
    run(bench.find())
    assert bench.backends.asked[0][1] == BUDGET.seconds("model")


def test_whoever_joins_has_the_own_time_and_not_that_of_the_first() -> None:
    bench = Bench(FakeBackends(in_redis=known(), seconds={"model": 0.2}))

    async def steps() -> None:
        first = asyncio.create_task(bench.find(seconds=0.1))
        await asyncio.sleep(0.01)
        assert await bench.find() is not None
        assert await first is None

    run(steps())
    assert bench.backends.calls.count("model") == 1


def test_whoever_joins_late_does_not_wait_longer_than_there_is_time() -> None:
    bench = Bench(FakeBackends(in_redis=known(), seconds={"model": 0.25}))

    async def steps() -> None:
        first = asyncio.create_task(bench.find())
        await asyncio.sleep(0.05)
        began = now()
        assert await bench.find(seconds=0.1) is None
        assert now() - began == pytest.approx(0.1 - RESERVE_SECONDS)
        assert await first is not None, "the one who waits on is not disturbed"

    run(steps())
