"""What is remembered of a message's last failure: the contract of `LastFailures`."""

import pytest

from adapters.redis_connection import RedisConnection
from adapters.redis_failures import KEPT_SECONDS, RedisFailures
from domain.ports import Failure, LastFailures
from tests.fakes import NOW, FakeLastFailures


@pytest.fixture(params=["fake", "redis"])
def failures(request: pytest.FixtureRequest) -> LastFailures:
    if request.param == "fake":
        return FakeLastFailures()
    return RedisFailures(request.getfixturevalue("redis_connection"))


def test_the_newest_failure_is_remembered(failures: LastFailures) -> None:
    assert failures.of("m1") is None
    failures.note("m1", Failure(NOW - 1, "older"))
    failures.note("m1", Failure(NOW, "1 of 3 failed: kinesis does not answer"))
    assert failures.of("m1") == Failure(NOW, "1 of 3 failed: kinesis does not answer")
    assert failures.of("m2") is None


def test_it_is_forgotten_by_itself(redis_connection: RedisConnection) -> None:
    RedisFailures(redis_connection).note("m1", Failure(NOW, "why"))
    assert 0 < redis_connection.client.ttl("last_failure:m1") <= KEPT_SECONDS


def test_a_damaged_note_is_none(redis_connection: RedisConnection) -> None:
    redis_connection.client.set("last_failure:m1", b"\xc1")
    redis_connection.client.rpush("last_failure:m2", "x")
    failures = RedisFailures(redis_connection)
    assert failures.of("m1") is None
    assert failures.of("m2") is None


def test_nobody_fails_where_redis_is_down() -> None:
    connection = RedisConnection("redis://127.0.0.1:1/0")
    failures = RedisFailures(connection)
    failures.note("m1", Failure(NOW, "why"))
    assert failures.of("m1") is None
    connection.close()
