"""A queue pauses when its packs meet what they need down, and goes on when it is back."""

from workers.pausing import Pause, PauseRules, State

RULES = PauseRules(after_failures=3, base_seconds=1.0, cap_seconds=10.0)


def pause() -> Pause:
    return Pause(RULES, jitter=lambda _low, high: high)


def paused() -> Pause:
    one = pause()
    for _ in range(3):
        one.failed("k", "redis")
    assert one.state is State.PAUSED
    return one


def test_it_pauses_after_so_many_failures_in_a_row() -> None:
    one = pause()
    assert [one.failed("k", "redis") for _ in range(3)] == [False, False, True]
    assert one.state is State.PAUSED


def test_a_pack_that_ends_otherwise_breaks_the_row() -> None:
    one = pause()
    for _ in range(5):
        one.failed("k", "redis")
        one.failed("k", "redis")
        one.ended("k")
    assert one.state is State.RUNNING


def test_failures_for_different_dependencies_are_one_row_and_all_are_named() -> None:
    one = pause()
    names = ("redis", "dynamodb", "redis")
    assert [one.failed("k", name) for name in names] == [False, False, True]
    assert set(one.dependencies) == {"redis", "dynamodb"}


def test_a_row_is_of_one_kind() -> None:
    one = pause()
    for kind in ("k", "l", "k", "l"):
        assert not one.failed(kind, "redis")


def test_after_a_trial_that_fails_only_what_it_met_is_named() -> None:
    one = pause()
    for name in ("redis", "dynamodb", "redis"):
        one.failed("k", name)
    one.answered()
    assert one.failed("k", "dynamodb")
    assert one.dependencies == ("dynamodb",)


def test_another_kind_that_needs_nothing_does_not_hide_the_outage() -> None:
    one = pause()
    for _ in range(3):
        one.ended("idle")
        one.failed("k", "redis")
    assert one.state is State.PAUSED


def test_what_fails_while_it_is_paused_does_not_pause_it_twice() -> None:
    one = paused()
    assert not one.failed("k", "redis")


def test_once_the_dependency_answers_one_pack_decides() -> None:
    one = paused()
    one.answered()
    assert one.failed("k", "redis")
    assert not one.ended("other")
    one.answered()
    assert one.ended("k")
    assert one.state is State.RUNNING


def test_a_trial_goes_on_over_packs_of_another_kind_but_not_for_ever() -> None:
    one = paused()
    one.answered()
    assert [one.ended("idle") for _ in range(3)] == [False, False, True]
    assert one.state is State.RUNNING


def test_after_the_end_of_a_pause_the_row_begins_anew() -> None:
    one = paused()
    one.answered()
    one.ended("k")
    assert [one.failed("k", "redis") for _ in range(3)] == [False, False, True]


def test_it_asks_ever_more_seldom_up_to_the_cap_also_over_trials_that_fail() -> None:
    one = paused()
    waits = [one.wait_seconds() for _ in range(2)]
    one.answered()
    one.failed("k", "redis")
    waits += [one.wait_seconds() for _ in range(3)]
    assert waits == [2.0, 4.0, 8.0, 10.0, 10.0]
    one.answered()
    one.ended("k")
    assert one.wait_seconds() == 2.0


def test_the_jitter_stays_between_base_and_cap() -> None:
    one = Pause(RULES)
    waits = [one.wait_seconds() for _ in range(200)]
    assert all(1.0 <= wait <= 10.0 for wait in waits)
    assert len(set(waits)) > 100
