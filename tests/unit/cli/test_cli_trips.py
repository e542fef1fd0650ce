"""A trip is timed without what opens the way."""

from cli.trips import TRIPS, median_ms


def test_the_first_trip_does_not_count_and_one_slow_trip_changes_nothing() -> None:
    now, took = 0.0, iter([9.0, 0.002, 0.002, 5.0, *[0.002] * TRIPS])

    def trip() -> None:
        nonlocal now
        now += next(took)

    assert round(median_ms(trip, lambda: now), 6) == 2.0
