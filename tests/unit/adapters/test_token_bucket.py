"""The rate that the threads of a process keep together."""

import pytest

from adapters.token_bucket import TokenBucket


def test_a_rate_is_kept_and_a_pause_allows_a_burst() -> None:
    now, slept = 100.0, list[float]()

    def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(seconds)
        now += seconds

    bucket = TokenBucket(10, lambda: now, sleep)
    for _ in range(30):
        bucket.take()
    assert now == pytest.approx(102.0)
    now += 60
    slept.clear()
    for _ in range(10):
        bucket.take()
    assert not slept
