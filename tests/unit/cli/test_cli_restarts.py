from cli.failures import USAGE
from cli.restarts import FIRST_SECONDS, HOPELESS_DEATHS, LONGEST_SECONDS, STEADY_SECONDS, Restarts


def test_the_pause_doubles_with_every_early_death_up_to_a_limit() -> None:
    restarts = Restarts()
    pauses = [restarts.delay_seconds(1.0) for _ in range(12)]
    assert pauses[:3] == [FIRST_SECONDS, 2 * FIRST_SECONDS, 4 * FIRST_SECONDS]
    assert max(pauses) == pauses[-1] == LONGEST_SECONDS


def test_a_child_that_lived_long_is_started_again_at_once() -> None:
    restarts = Restarts()
    for _ in range(8):
        restarts.delay_seconds(1.0)
    assert restarts.delay_seconds(STEADY_SECONDS) == FIRST_SECONDS


def test_a_child_that_refuses_its_settings_is_hopeless_at_once() -> None:
    restarts = Restarts()
    restarts.delay_seconds(0.1)
    assert restarts.is_hopeless(USAGE)
    assert not restarts.is_hopeless(-9)


def test_a_child_that_dies_again_and_again_is_hopeless() -> None:
    restarts = Restarts()
    for _ in range(HOPELESS_DEATHS):
        restarts.delay_seconds(0.1)
    assert restarts.is_hopeless(1)
