"""Retries beyond a tenth of the first attempts are put off until those have paid for them."""

import heapq

import pytest

from workers.retry_budget import RetryBudget

LIMIT = 60.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def attempts(budget: RetryBudget, clock: Clock, per_second: int, seconds: int) -> None:
    for _ in range(per_second * seconds):
        clock.now += 1 / per_second
        budget.first_attempt()


def test_a_burst_of_retries_is_not_put_off() -> None:
    budget = RetryBudget(0.1, 20, Clock())
    assert [budget.extra_seconds(LIMIT) for _ in range(20)] == [0.0] * 20
    assert budget.extra_seconds(LIMIT) == LIMIT


def test_a_tenth_of_the_first_attempts_may_be_retried() -> None:
    clock = Clock()
    budget = RetryBudget(0.1, 20, clock)
    put_off = 0
    for number in range(5000):
        clock.now += 0.01
        budget.first_attempt()
        if number % 10 == 0:
            put_off += budget.extra_seconds(LIMIT) > 0
    assert put_off == 0


def test_retries_beyond_it_wait_for_as_long_as_first_attempts_take_to_earn_them() -> None:
    clock = Clock()
    budget = RetryBudget(0.1, 20, clock)
    attempts(budget, clock, per_second=50, seconds=600)
    waits = [budget.extra_seconds(LIMIT) for _ in range(30)]
    assert waits[:20] == [0.0] * 20
    assert waits[20:] == pytest.approx([n / 5 for n in range(1, 11)], rel=0.05)


def test_retries_alone_are_soon_put_off_to_the_limit_and_the_debt_is_bounded() -> None:
    clock = Clock()
    budget = RetryBudget(0.1, 5, clock)
    attempts(budget, clock, per_second=10, seconds=300)
    clock.now += 600
    assert [budget.extra_seconds(LIMIT) for _ in range(1000)][-1] == LIMIT
    attempts(budget, clock, per_second=10, seconds=11)
    assert budget.extra_seconds(LIMIT) == 0.0


def test_of_a_storm_of_failures_the_retries_stay_near_a_tenth() -> None:
    """Every pack fails always, and comes back when its backoff and what is added are over."""
    clock = Clock()
    budget = RetryBudget(0.1, 20, clock)
    due: list[float] = []
    retries = 0
    for _ in range(20_000):
        clock.now += 0.05
        budget.first_attempt()
        while due and due[0] <= clock.now:
            heapq.heappop(due)
            retries += 1
        # It fails, and is a dead letter when it fails again.
        heapq.heappush(due, clock.now + 1.0 + budget.extra_seconds(1200.0))
    assert 1_000 <= retries <= 2_100


def retried_in_a_storm(seconds: int, per_second: int = 20) -> tuple[int, float]:
    """How many retries come while all first attempts fail, and when the last is due after it."""
    clock = Clock()
    budget = RetryBudget(0.1, 20, clock)
    attempts(budget, clock, per_second, seconds=300)
    end = clock.now + seconds
    due = []
    while clock.now < end:
        clock.now += 1 / per_second
        budget.first_attempt()
        due.append(clock.now + budget.extra_seconds(LIMIT))
    return sum(at <= clock.now for at in due), max(due) - clock.now


def test_a_storm_is_held_to_the_budget_while_the_limit_has_room_for_what_is_put_off() -> None:
    retries, _ = retried_in_a_storm(seconds=6)
    assert retries <= 20 + 0.15 * 6 * 20


def test_a_fault_that_stands_is_retried_beyond_the_budget_and_none_waits_past_the_limit() -> None:
    retries, last = retried_in_a_storm(seconds=600)
    assert retries > 0.5 * 600 * 20
    assert last <= LIMIT
