"""The sources of a recommendation behind threads, and that only a user's own data is taken."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from adapters.redis_hot_users import decode_features, encode_features
from domain.errors import Transient
from domain.features import GroupRecord, UserFeatures
from domain.ports import FeatureBatch
from domain.recommendations import Recommended
from serving.backends import NOBODY, ThreadedBackends
from serving.bounded_threads import BoundedThreads
from tests.fakes import FakeRecommender, FakeUserCache

RECORDS = {"user-profile": GroupRecord(1.0, {"favourite_genres": "Action"})}


async def test_whoever_finds_no_free_thread_is_refused_at_once() -> None:
    threads, release = BoundedThreads(2, "table"), threading.Event()
    started = [threading.Event() for _ in range(2)]

    def wait(place: int) -> int:
        started[place].set()
        assert release.wait(60)
        return place

    running = [asyncio.create_task(threads.run(lambda at=at: wait(at))) for at in range(2)]  # type: ignore[misc]
    for one in started:
        assert await asyncio.to_thread(one.wait, 30)
    with pytest.raises(Transient, match="busy"):
        await threads.run(lambda: 2)
    release.set()
    assert await asyncio.gather(*running) == [0, 1]
    assert await threads.run(lambda: 2) == 2
    threads.close()


async def test_a_call_that_nobody_waits_for_any_more_keeps_its_thread_until_it_ends() -> None:
    threads = BoundedThreads(1, "table")
    begun, release, ended = threading.Event(), threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        assert release.wait(60)

    call = asyncio.create_task(threads.run(wait))
    assert await asyncio.to_thread(begun.wait, 30)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    with pytest.raises(Transient):
        await threads.run(ended.set)
    release.set()
    while not ended.is_set():
        try:
            await threads.run(ended.set)
        except Transient:
            await asyncio.sleep(0)
    threads.close()


async def test_a_call_that_waits_for_a_thread_is_made_only_if_somebody_still_waits() -> None:
    threads, release, made = BoundedThreads(1, "table", waiting=2), threading.Event(), list[str]()
    running = asyncio.create_task(threads.run(release.wait))
    left = asyncio.create_task(threads.run(lambda: made.append("left")))
    stays = asyncio.create_task(threads.run(lambda: made.append("stays")))
    await asyncio.sleep(0)
    with pytest.raises(Transient, match="table is busy"):
        await threads.run(lambda: None)
    left.cancel()
    await asyncio.gather(left, return_exceptions=True)
    release.set()
    await asyncio.gather(running, stays)
    assert made == ["stays"]
    threads.close()


async def test_what_a_call_raises_is_raised_and_frees_its_thread() -> None:
    threads = BoundedThreads(1, "table")
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await threads.run(lambda: 1 / 0)
    threads.close()
    with pytest.raises(Transient):
        await threads.run(lambda: 1)


class FakeStore:
    """The feature store's answers."""

    def __init__(self, batch: FeatureBatch) -> None:
        self.batch = batch

    def read(self, user_ids: Sequence[str], groups: Sequence[str]) -> FeatureBatch:
        assert groups == ("user-profile",)
        return self.batch


class FakeRedis:
    """What Redis holds of a user."""

    def __init__(self, stored: bytes | None) -> None:
        self.stored = stored
        self.dropped: list[tuple[str, bytes]] = []

    def drop(self, key: str, damaged: bytes, seconds: float) -> None:
        self.dropped.append((key, damaged))

    def note_unknown(self, user_id: str, kept_seconds: int, seconds: float) -> None:
        raise NotImplementedError

    async def hot_user(self, user_id: str, seconds: float) -> tuple[bytes | None, Sequence[str]]:
        return self.stored, ["a"]


def backends(
    *,
    redis: FakeRedis | None = None,
    batch: FeatureBatch | None = None,
    damaged: Callable[[], None] = lambda: None,
) -> tuple[ThreadedBackends, FakeUserCache, FakeRecommender]:
    users, recommender = FakeUserCache(), FakeRecommender()
    made = ThreadedBackends(
        redis=redis or FakeRedis(None),
        decode_features=decode_features,
        users=users,
        features=cast("Any", FakeStore(batch or FeatureBatch({}, {}))),
        recommender=recommender,
        groups=("user-profile",),
        damaged=damaged,
    )
    return made, users, recommender


@pytest.mark.parametrize(
    ("stored", "is_taken"),
    [
        (encode_features(UserFeatures("ann", RECORDS)), True),
        (encode_features(UserFeatures("bob", RECORDS)), False),
        (b"nonsense", False),
        (None, False),
    ],
    ids=["own", "another's", "damaged", "none"],
)
async def test_only_a_users_own_copy_is_taken_and_another_deleted(
    stored: bytes | None, is_taken: bool
) -> None:
    redis, damaged = FakeRedis(stored), list[None]()
    made, _, _ = backends(redis=redis, damaged=lambda: damaged.append(None))
    hot = await made.hot("ann", 1.0)
    assert (hot.features is not None, list(hot.recent)) == (is_taken, ["a"])
    is_damaged = stored is not None and not is_taken
    assert redis.dropped == ([("features:ann", stored)] if is_damaged else [])
    assert len(damaged) == is_damaged
    made.close()


async def test_another_users_item_is_none() -> None:
    made, users, _ = backends()
    users.users["ann"] = UserFeatures("bob", RECORDS)
    assert await made.cached("ann") is None
    users.users["ann"] = UserFeatures("ann", RECORDS)
    assert await made.cached("ann") is not None
    made.close()


async def test_what_the_store_did_not_answer_is_not_taken_for_nothing() -> None:
    made, _, _ = backends(batch=FeatureBatch({}, {"ann": "throttled"}))
    with pytest.raises(Transient, match="throttled"):
        await made.stored("ann")
    assert await made.stored("bob") is None
    made.close()


async def test_the_warm_up_is_for_nobody_and_fails_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("serving.backends.WARM_UP_SECONDS", 60.0)
    made, users, recommender = backends(batch=FeatureBatch({}, {NOBODY: "throttled"}))
    recommender.fail = Transient("not ready")
    recommender.items = [Recommended("a", 1.0)]
    await made.warm_up()
    assert recommender.asked[0].recent == ()
    assert not users.users
    made.close()
