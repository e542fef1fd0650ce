"""The recommendations of users: the contract of `Recommendations`, and what Redis adds to it."""

import pytest

from adapters.redis_connection import RedisConnection
from adapters.redis_recommendations import RedisRecommendations
from config import texts
from domain.answers import StoredAnswer
from domain.personal_answers import Lifetime, store
from domain.ports import Due, Recommendations, Written
from tests.fakes import NOW, FakeClock, FakeRecommendations
from tests.samples import title

LEASE = 30.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def in_redis(redis_connection: RedisConnection, clock: FakeClock) -> RedisRecommendations:
    return RedisRecommendations(redis_connection, clock, due_seconds=3600)


@pytest.fixture(params=["fake", "redis"])
def kept(request: pytest.FixtureRequest, clock: FakeClock) -> Recommendations:
    if request.param == "fake":
        return FakeRecommendations(clock)
    found: RedisRecommendations = request.getfixturevalue("in_redis")
    return found


def made(at: float, user_id: str = "ann") -> StoredAnswer:
    return store(
        user_id,
        [(title("a"), 1.0)],
        texts.declared(),
        at,
        Lifetime(60, 600),
        catalogue_version="v-1",
    )


def test_a_later_recommendation_stands_in_whatever_order_they_come(kept: Recommendations) -> None:
    assert kept.put("ann", made(NOW)) is Written.APPLIED
    assert kept.put("ann", made(NOW)) is Written.ALREADY_APPLIED
    assert kept.put("ann", made(NOW - 1)) is Written.SUPERSEDED
    assert kept.put("bob", made(NOW - 1, "bob")) is Written.APPLIED
    assert kept.put("ann", made(NOW + 1)) is Written.APPLIED


def test_one_that_is_removed_is_no_obstacle_to_an_older_one(kept: Recommendations) -> None:
    kept.put("ann", made(NOW))
    kept.remove("ann")
    kept.remove("bob")
    assert kept.put("ann", made(NOW - 1)) is Written.APPLIED


def test_whoever_is_marked_often_is_due_once_and_no_later(
    kept: Recommendations, clock: FakeClock
) -> None:
    kept.mark({"ann"}, NOW + 5)
    kept.mark({"ann"}, NOW + 1)
    kept.mark({"ann"}, NOW + 9)
    kept.mark(set(), NOW)
    assert kept.take_due(10, LEASE) == []
    clock.now = NOW + 1
    assert kept.count_due() == 1
    assert kept.take_due(10, LEASE) == [Due("ann", NOW + 1 + LEASE)]
    assert kept.take_due(10, LEASE) == []


def test_those_who_wait_longest_come_first(kept: Recommendations) -> None:
    for place, user_id in enumerate(["cat", "ann", "bob"]):
        kept.mark({user_id}, NOW - 10 + place)
    assert [due.user_id for due in kept.take_due(2, LEASE)] == ["cat", "ann"]


def test_whoever_was_taken_up_and_not_done_is_due_again(
    kept: Recommendations, clock: FakeClock
) -> None:
    kept.mark({"ann"}, NOW)
    kept.take_due(1, LEASE)
    clock.now = NOW + LEASE
    assert [due.user_id for due in kept.take_due(1, LEASE)] == ["ann"]


def test_whoever_is_done_is_due_again_when_said_or_never(
    kept: Recommendations, clock: FakeClock
) -> None:
    kept.mark({"ann", "bob"}, NOW)
    ann, bob = sorted(kept.take_due(2, LEASE), key=lambda due: due.user_id)
    kept.settle(ann, NOW + 600)
    kept.settle(bob, None)
    clock.now = NOW + 599
    assert kept.take_due(2, LEASE) == []
    clock.now = NOW + 10_000
    assert [due.user_id for due in kept.take_due(2, LEASE)] == ["ann"]


def test_whoever_is_marked_while_being_done_is_due_once_more(
    kept: Recommendations, clock: FakeClock
) -> None:
    kept.mark({"ann"}, NOW)
    (due,) = kept.take_due(1, LEASE)
    kept.mark({"ann"}, NOW + 1)
    kept.settle(due, None)
    clock.now = NOW + 1
    assert [again.user_id for again in kept.take_due(1, LEASE)] == ["ann"]


def test_a_damaged_recommendation_is_replaced_and_every_key_expires(
    in_redis: RedisRecommendations, redis_connection: RedisConnection
) -> None:
    client = redis_connection.client
    client.set("reco:ann", b"nonsense")
    assert in_redis.put("ann", made(NOW)) is Written.APPLIED
    assert StoredAnswer.unpack(client.get("reco:ann"), "reco:ann").generated_at == NOW
    in_redis.mark({"ann"}, NOW)
    assert {key.decode() for key in client.scan_iter()} == {"reco:ann", "reco_due"}
    assert 0 < client.ttl("reco:ann") <= 600
    assert 0 < client.ttl("reco_due") <= 3600
