"""Who was given unchecked answers, and what the checks found: the contract of `AnswerChecks`."""

from concurrent.futures import ThreadPoolExecutor
from itertools import permutations

import pytest

from adapters.redis_checks import PASSED_SECONDS, RedisAnswerChecks
from adapters.redis_connection import RedisConnection
from domain.ports import AnswerChecks, Given, Verdict
from tests.fakes import FakeAnswerChecks

RETRACTED_SECONDS = 1000
BAD, GOOD = Verdict(True, "ja"), Verdict(False, "en")
ONE, TWO = Given("a-1", "s-1", "e-1"), Given("a-1", "s-2", "e-2")


@pytest.fixture
def over_redis(redis_connection: RedisConnection) -> RedisAnswerChecks:
    return RedisAnswerChecks(redis_connection, retracted_seconds=RETRACTED_SECONDS)


@pytest.fixture(params=["fake", "redis"])
def checks(request: pytest.FixtureRequest) -> AnswerChecks:
    if request.param == "fake":
        return FakeAnswerChecks()
    found: RedisAnswerChecks = request.getfixturevalue("over_redis")
    return found


def test_who_was_noted_before_the_verdict_is_told_by_it(checks: AnswerChecks) -> None:
    other = Given("a-2", "s-1", "e-3")
    assert checks.note([ONE, TWO, other]) == {}
    assert checks.note([ONE]) == {}
    assert sorted(checks.settle("a-1", BAD), key=repr) == [ONE, TWO]
    assert sorted(checks.settle("a-1", BAD), key=repr) == [ONE, TWO], "the job may come again"


def test_who_is_noted_after_the_verdict_learns_it(checks: AnswerChecks) -> None:
    assert checks.settle("a-1", BAD) == []
    assert checks.settle("a-2", GOOD) == []
    assert checks.note([ONE, Given("a-2", "s", "e"), Given("a-3", "s", "e")]) == {
        "a-1": BAD,
        "a-2": GOOD,
    }


def test_of_a_good_answer_nobody_is_remembered(checks: AnswerChecks) -> None:
    checks.note([ONE])
    assert checks.settle("a-1", GOOD) == []
    assert checks.settle("a-1", BAD) == []


def test_what_was_taken_back_stays_so(checks: AnswerChecks) -> None:
    checks.note([ONE])
    checks.settle("a-1", BAD)
    checks.settle("a-1", GOOD)
    assert checks.note([TWO]) == {"a-1": BAD}
    assert checks.settle("a-1", BAD) == [ONE]


@pytest.mark.parametrize("order", list(permutations(("note", "settle", "again"))))
def test_in_whatever_order_one_learns_of_the_other(
    checks: AnswerChecks, order: tuple[str, ...]
) -> None:
    learned = set[Given]()
    for step in order:
        if step == "note":
            learned |= {ONE} if checks.note([ONE]).get("a-1") == BAD else set()
        else:
            learned |= set(checks.settle("a-1", BAD))
    assert learned == {ONE}


def test_at_once_one_learns_of_the_other(over_redis: RedisAnswerChecks) -> None:
    with ThreadPoolExecutor(2) as threads:
        for number in range(200):
            one = Given(f"a-{number}", "s", "e")
            noted = threads.submit(over_redis.note, [one])
            told = threads.submit(over_redis.settle, one.answer_id, BAD)
            assert noted.result() or told.result(), number


def test_everything_expires(
    over_redis: RedisAnswerChecks, redis_connection: RedisConnection
) -> None:
    ttl = redis_connection.client.ttl
    over_redis.note([ONE])
    assert RETRACTED_SECONDS - 300 < ttl("answer_given:a-1") <= RETRACTED_SECONDS
    over_redis.settle("a-1", BAD)
    assert RETRACTED_SECONDS - 300 < ttl("answer_verdict:a-1") <= RETRACTED_SECONDS
    over_redis.settle("a-2", GOOD)
    assert PASSED_SECONDS - 300 < ttl("answer_verdict:a-2") <= PASSED_SECONDS


def test_keys_of_a_wrong_type_are_begun_anew(
    over_redis: RedisAnswerChecks, redis_connection: RedisConnection
) -> None:
    redis_connection.client.set("answer_given:a-1", "x")
    redis_connection.client.lpush("answer_verdict:a-1", "x")
    assert over_redis.note([ONE]) == {}
    assert over_redis.settle("a-1", BAD) == [ONE]
    assert over_redis.note([TWO]) == {"a-1": BAD}
