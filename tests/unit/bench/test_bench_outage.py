"""What an outage comes to, and when it misses what is promised."""

import math

import pytest

from bench import machine
from bench.outage import Drain, Plan, summarise
from bench.report import Result
from bench.steady import Phase


def result(*, slow_ms: float = 1.0, failed: int = 0, drain_seconds: float = 10.0) -> Result:
    phases = {
        "healthy": Phase([0.001] * 100),
        "SQS out of reach": Phase([slow_ms / 1000] * 100, ["no answer"] * failed),
        "draining": Phase([0.001] * 100),
    }
    drain = Drain(backlog=5000, seconds=drain_seconds, applied=7000)
    return summarise(Plan(), machine.describe(), phases, drain, 0.0)


def test_an_outage_that_nobody_notices_keeps_every_promise() -> None:
    assert result().kept


@pytest.mark.parametrize(
    "found", [result(slow_ms=2.1), result(failed=1), result(drain_seconds=12.0)]
)
def test_a_slow_answer_a_failed_one_and_a_slow_drain_are_missed_targets(found: Result) -> None:
    assert [claim.holds for claim in found.claims].count(False) == 1
    assert not found.kept


def test_no_latencies_are_no_percentile() -> None:
    assert math.isnan(Phase().percentile_ms(0.99))
    assert Phase([0.001] * 99 + [1.0]).percentile_ms(0.99) == pytest.approx(1.0)
