"""Faults strike the running product while customers are promised things: nothing of it is lost.

`make test` runs a few cells shortly; `make soak ARGS="-k test_cell"` runs all of them at length,
and writes what came out to docs/faults.json and docs/faults.md.
"""

import pytest

from tests.faults import results
from tests.faults.cells import cells
from tests.faults.conftest import Rigs
from tests.faults.load import Amount
from tests.faults.running import Cell, Outcome, run

SHORT = Amount(interactions=250, questions=50, batch=25, paced_seconds=1.5)
LONG = Amount(interactions=2900, questions=500, paced_seconds=2.5)
RUNS = 3
SHORT_CELLS = [cell for cell in cells() if cell.is_short]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("cell", SHORT_CELLS, ids=lambda cell: cell.name)
def test_a_short_fault_costs_no_promise(cell: Cell, rigs: Rigs) -> None:
    outcome = once(rigs, cell, SHORT)
    assert outcome.holds, outcome.report()


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("cell", cells(), ids=lambda cell: cell.name)
def test_cell(cell: Cell, rigs: Rigs) -> None:
    rigs.drop()  # moto grows slow with what it holds
    outcomes = [once(rigs, cell, LONG) for _ in range(RUNS)]
    results.keep(cell, outcomes)
    wrong = [outcome.report() for outcome in outcomes if not outcome.holds]
    assert not wrong, wrong


def once(rigs: Rigs, cell: Cell, amount: Amount) -> Outcome:
    """One run, on a rig that the next may use."""
    rig, stores = rigs.get()
    try:
        outcome = run(rig, stores, cell, amount)
    except BaseException:
        rigs.drop()
        raise
    if cell.spoils or not outcome.holds:
        rigs.drop()
    return outcome
