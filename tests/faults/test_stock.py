"""Stock Celery under the same faults: what it came to is kept, nothing is promised of it."""

import pytest

from tests.faults import results
from tests.faults.stock import EVENTS, STRIKES, run

RUNS = 3


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", STRIKES)
def test_stock_under_the_same_fault(name: str) -> None:
    outcomes = [run(STRIKES[name]) for _ in range(RUNS)]
    results.keep_of_stock(name, outcomes)
    assert all(outcome.acked <= EVENTS for outcome in outcomes)
    assert sum(outcome.acked for outcome in outcomes) > 0, "nothing was tried"
