"""Hot users: the contract of `HotUsers`, and what Redis adds to it."""

from itertools import permutations

import pytest

from adapters.redis_connection import RedisConnection
from adapters.redis_hot_users import (
    Kept,
    RedisHotUsers,
    decode_features,
    encode_features,
)
from domain.errors import Malformed
from domain.features import GroupRecord, UserFeatures
from domain.ports import HotUsers
from tests import logs
from tests.fakes import NOW, FakeClock, FakeHotUsers
from tests.samples import DAY, interaction

KEPT = Kept(
    features_seconds=300,
    features_jitter_seconds=30,
    seen_seconds=1800,
    recent_titles=5,
    recent_seconds=int(30 * DAY),
)


@pytest.fixture
def redis_users(redis_connection: RedisConnection) -> RedisHotUsers:
    return RedisHotUsers(redis_connection, KEPT, FakeClock())


@pytest.fixture(params=["fake", "redis"])
def hot(request: pytest.FixtureRequest) -> HotUsers:
    if request.param == "fake":
        return FakeHotUsers(recent_titles=KEPT.recent_titles)
    found: RedisHotUsers = request.getfixturevalue("redis_users")
    return found


def features(user_id: str, at: float) -> UserFeatures:
    return UserFeatures(user_id, {"user-profile": GroupRecord(at, {"locale": "ja", "at": str(at)})})


def test_only_those_who_did_something_were_seen(hot: HotUsers) -> None:
    hot.note([interaction("1", user_id="ann")])
    hot.note_seen(["bob", ""])
    assert hot.seen(["ann", "bob", "eve"]) == ["ann", "bob"]
    assert hot.seen([]) == []


def test_titles_are_newest_first_whatever_order_they_came_in(hot: HotUsers) -> None:
    events = [interaction(str(at), NOW + at, user_id="ann") for at in (2, 1, 3)]
    hot.note(events)
    hot.note([interaction("1", NOW - 9, user_id="ann"), *events])
    assert hot.recent("ann") == ["3", "2", "1"]
    assert hot.recent("bob") == []


def test_only_the_newest_titles_are_kept(hot: HotUsers) -> None:
    hot.note([interaction(str(at), NOW + at, user_id="ann") for at in range(9)])
    assert hot.recent("ann") == ["8", "7", "6", "5", "4"]


def test_what_nobody_did_is_no_users(hot: HotUsers) -> None:
    hot.note([interaction("1")])
    assert hot.recent("") == []


def test_the_newest_features_stand_in_whatever_order_copies_come(
    redis_users: RedisHotUsers, redis_connection: RedisConnection
) -> None:
    for number, order in enumerate(permutations([NOW, NOW + 1, NOW + 2])):
        user_id = f"user-{number}"
        for at in order:
            redis_users.put_features([features(user_id, at)])
        stored = redis_connection.client.get(f"features:{user_id}")
        assert decode_features(stored, user_id) == features(user_id, NOW + 2)


def test_every_key_expires(redis_users: RedisHotUsers, redis_connection: RedisConnection) -> None:
    redis_users.put_features([features("ann", NOW)])
    redis_users.note([interaction("1", user_id="ann")])
    client = redis_connection.client
    ttl = {key.decode(): client.ttl(key) for key in client.scan_iter()}
    assert ttl.keys() == {"features:ann", "interactions:ann", "seen:ann"}
    assert all(seconds > 0 for seconds in ttl.values())
    assert 200 < ttl["features:ann"] <= 330


def test_a_copy_that_is_damaged_is_replaced(
    redis_users: RedisHotUsers, redis_connection: RedisConnection
) -> None:
    client = redis_connection.client
    client.set("features:ann", b"nonsense")
    redis_users.put_features([features("ann", NOW)])
    assert decode_features(client.get("features:ann"), "ann") == features("ann", NOW)


def test_an_age_that_the_groups_do_not_have_is_damage() -> None:
    stored = encode_features(features("ann", NOW))
    later = stored.replace(b'{"newness":1', b'{"newness":9', 1)
    assert later != stored
    with pytest.raises(Malformed, match="age"):
        decode_features(later, "ann")


def test_what_is_another_users_is_not_read() -> None:
    with pytest.raises(Malformed, match="another user's"):
        decode_features(encode_features(features("ann", NOW)), "bob")
    for damaged in (b"", b"{}", b"[" * 100_000):
        with pytest.raises(Malformed, match="read"):
            decode_features(damaged, "ann")


def test_titles_of_late_that_are_no_sorted_set_are_begun_anew(
    redis_users: RedisHotUsers,
    redis_connection: RedisConnection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    redis_connection.client.rpush("interactions:ann", "no set")
    events = [interaction("1", user_id="ann"), interaction("2", user_id="bob")]
    redis_users.note(events)
    assert (redis_users.recent("ann"), redis_users.recent("bob")) == (["1"], ["2"])
    (record,) = logs.here(caplog)
    assert record.message == "keys of recent titles of a wrong type were begun anew: 1"
    redis_users.note(events)
    assert logs.here(caplog) == [record]
