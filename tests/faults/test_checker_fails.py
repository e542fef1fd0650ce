"""Every protection of the product is switched off in turn, and the checker has to notice.

A checker that can't fail proves nothing. The protection is taken from one process by code that only
tests have; the fault is one that costs nothing while the protection is there.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from emulators import FaultRule
from tests.faults import strikes
from tests.faults.cells import cells
from tests.faults.conftest import Rigs
from tests.faults.load import Amount
from tests.faults.mutations import PROTECTIONS
from tests.faults.poison import malformed
from tests.faults.proxy import Fault, Mode
from tests.faults.rig import START_SECONDS
from tests.faults.running import Cell, Outcome, run

AMOUNT = Amount(interactions=250, questions=50, batch=25, paced_seconds=1.5)
DRAIN_SECONDS = 20.0
INTERACTIVE = "worker-interactive"


@dataclass(frozen=True, slots=True)
class Need:
    """Who needs a protection against what, and how the checker says that it was missing."""

    process: str
    cell: Cell
    red: Callable[[Outcome], object]


def lost(outcome: Outcome) -> object:
    return outcome.verdict.lost


def wrong(outcome: Outcome) -> object:
    return outcome.verdict.wrong


DECLARED = {cell.name: cell for cell in cells()}


NEEDS = {
    "dedupe": Need(
        INTERACTIVE,
        Cell(
            name="dedupe",
            fault="every message comes twice",
            strike=strikes.in_emulators(FaultRule(kind="duplicate", action="Receive*")),
            heal=strikes.emulators_healed,
        ),
        lambda outcome: outcome.verdict.doubled,
    ),
    "conditional write": Need(
        INTERACTIVE,
        Cell(
            name="conditional write",
            fault="DynamoDB is slow",
            strike=strikes.on_the_wire("dynamodb", Fault(mode=Mode.SLOW, seconds=0.2)),
        ),
        lost,
    ),
    "acknowledgement after the effect": Need(
        INTERACTIVE,
        Cell(
            name="acknowledgement",
            fault="a worker is killed while DynamoDB does not answer",
            strike=strikes.all_of(
                strikes.on_the_wire("dynamodb", Fault(mode=Mode.BLACK_HOLE)),
                strikes.pause(2.5),
                strikes.killed(INTERACTIVE),
            ),
            kills=frozenset({INTERACTIVE}),
        ),
        lost,
    ),
    "spool": Need(
        "serving",
        Cell(
            name="spool",
            fault="Redis refuses",
            strike=strikes.on_the_wire("redis", Fault(mode=Mode.REFUSED)),
        ),
        lost,
    ),
    "validator": Need(
        INTERACTIVE,
        Cell(name="validator", fault="poison", strike=strikes.poisoned(malformed)),
        lambda outcome: outcome.deaths,
    ),
    "receive timeout": Need(
        INTERACTIVE,
        Cell(
            name="receive timeout",
            fault="what is sent to SQS vanishes",
            strike=strikes.on_the_wire("sqs", Fault(mode=Mode.BLACK_HOLE)),
        ),
        lambda outcome: outcome.stuck,
    ),
    "event times": Need("worker-streams", DECLARED["F3 older"], wrong),
    "end of an answer": Need("serving", DECLARED["L1 broken off"], wrong),
}
SHORT = {"dedupe", "spool"}


def test_every_protection_that_can_be_switched_off_is_needed() -> None:
    assert NEEDS.keys() == PROTECTIONS.keys()


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "protection",
    [one if one in SHORT else pytest.param(one, marks=pytest.mark.soak) for one in NEEDS],
)
def test_without_a_protection_the_checker_says_so(protection: str, rigs: Rigs) -> None:
    need = NEEDS[protection]
    rig, stores = rigs.get()
    try:
        rig.replace(need.process, without=protection)
        rig.until(rig.ready, START_SECONDS, "it does not start")
        outcome = run(rig, stores, need.cell, AMOUNT, drain_seconds=DRAIN_SECONDS)
        assert need.red(outcome), f"{protection} was not missed: {outcome.report()}"
    except BaseException:
        rigs.drop()
        raise
    if protection in SHORT:
        rig.replace(need.process)
        rig.until(rig.ready, START_SECONDS, "it does not start")
    else:
        rigs.drop()  # for what it left behind


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("protection", NEEDS)
def test_with_the_protection_the_same_fault_costs_nothing(protection: str, rigs: Rigs) -> None:
    rig, stores = rigs.get()
    outcome = run(rig, stores, NEEDS[protection].cell, AMOUNT)
    assert outcome.holds, outcome.report()
