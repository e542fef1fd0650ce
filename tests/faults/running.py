"""One run of a cell: customers come, a fault strikes and ends, and the stores are compared.

A fifth of the events comes before the fault, three fifths while it lasts, the rest right after it.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from uuid import uuid4

from cli import tokens
from tests.faults.checker import Verdict, check
from tests.faults.history import Effect, History
from tests.faults.load import Amount, Load
from tests.faults.producers import Change, Producers
from tests.faults.questions import MESSAGES
from tests.faults.rig import TICK_SECONDS, Death, Rig
from tests.faults.stores import SPOOL, Stores

BEFORE, AFTER = 0.2, 0.8
LOAD_SECONDS = 300.0
DRAIN_SECONDS = 360.0
"""Longer than a retry is put off by its backoff or the budget, which is 300 s."""
USER = "customer"
TOKEN_SECONDS = 3 * 3600
"""Longer than any clock is wrong."""


class Stage:
    """Where a fault strikes: the processes, what stands behind them, and the customers."""

    def __init__(self, rig: Rig, stores: Stores, load: Load) -> None:
        self.rig = rig
        self.stores = stores
        self.load = load
        self.began_at = time.time()
        self.witnesses: list[Callable[[], bool]] = []
        """Each tells whether a fault has struck that was ordered and is not healed yet."""
        self.struck_in_emulators = 0
        self._struck_before = rig.nemesis.struck
        self._deaths_before = len(rig.deaths)
        self._parked_before = stores.parked()
        self._said = {name: len(rig.log(name)) for name in rig.names}

    def struck(self) -> int:
        """How often faults have struck; to be asked when all is healed."""
        return self.rig.nemesis.struck - self._struck_before + self.struck_in_emulators

    def has_struck(self) -> bool:
        """Whether any fault has that can tell; to be asked before anything is healed."""
        return not self.witnesses or any(witness() for witness in self.witnesses)

    def logged(self, name: str, text: str) -> bool:
        """Whether a process has said this since the run began."""
        return text in self.rig.log(name)[self._said[name] :]

    def parked(self) -> int:
        """How many jobs were set aside since the run began, whosever they are."""
        return self.stores.parked() - self._parked_before

    def deaths(self) -> list[Death]:
        """Who has died since the run began."""
        return self.rig.deaths[self._deaths_before :]


Deed = Callable[[Stage], None]


def nothing(_stage: Stage) -> None:
    """Do nothing."""


def most_is_done(stage: Stage) -> bool:
    """Whether most of the customers' events came while the fault lasted."""
    return stage.load.share() >= AFTER


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One fault of the matrix.

    `prepare` comes before the customers, `strike` begins the fault, and `heal` ends it beyond what
    `Rig.heal` ends anyway. It lasts until it has struck and `met`, and `seconds` at the least.
    `kills` are the processes that are meant to die. `forgives` names effects that a store loses by
    itself, and `why` says so. `spoils` has the next cell begin on a new rig. Customers ask
    `messages`; users' features undergo `changes`; `bad` is what a model says while it is struck,
    `may_know_less` where it may be told too little.
    """

    name: str
    fault: str
    strike: Deed
    prepare: Deed = nothing
    heal: Deed = nothing
    met: Callable[[Stage], bool] = most_is_done
    seconds: float = 2.0
    kills: frozenset[str] = frozenset()
    forgives: frozenset[Effect] = frozenset()
    why: str = ""
    spoils: bool = False
    messages: Sequence[str] = MESSAGES
    changes: Sequence[Change] = ()
    bad: str = ""
    may_know_less: bool = False
    is_short: bool = False
    """Whether `make test` runs it, too."""

    @property
    def may_be_wrong(self) -> bool:
        """Whether models are asked, or features change, so that something could be wrong."""
        return bool(self.changes) or self.messages is not MESSAGES


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run of a cell came to."""

    cell: str
    verdict: Verdict
    recovery_seconds: float
    deaths: int
    """Of processes that were not meant to die."""
    slowest_seconds: float
    stuck: dict[str, int] = field(default_factory=dict)
    """What was still under way when patience ended."""

    @property
    def holds(self) -> bool:
        """Whether everything was kept, and nothing died or stuck."""
        return self.verdict.holds and not self.deaths and not self.stuck

    def report(self) -> str:
        """What is wrong, for whoever reads a failed test."""
        verdict = self.verdict
        parts = [
            f"{len(found)} {name}: {[(one.subject, one.what) for one in found[:3]]}"
            for name, found in (
                ("lost", verdict.lost),
                ("doubled", verdict.doubled),
                ("disordered", verdict.disordered),
                ("wrong", verdict.wrong),
            )
            if found
        ]
        parts += [f"{self.deaths} died"] if self.deaths else []
        parts += [f"stuck: {self.stuck}"] if self.stuck else []
        return f"{self.cell}: {'; '.join(parts) or 'all is well'}"


def run(
    rig: Rig, stores: Stores, cell: Cell, amount: Amount, *, drain_seconds: float = DRAIN_SECONDS
) -> Outcome:
    """Run a cell once."""

    def mint(user: str) -> str:
        return tokens.mint(rig.directory, user, "", TOKEN_SECONDS)

    run_id = f"run-{uuid4().hex[:12]}"
    load = Load(rig.http_port, run_id, amount, mint, user=USER, messages=cell.messages)
    producers = Producers(rig, stores, load, cell.changes)
    stage = Stage(rig, stores, load)
    try:
        cell.prepare(stage)
        load.learn()
        producers.settle()
        load.start()
        producers.start()
        healed_at = _strike_and_heal(cell, stage)
        rig.until(producers.finished, LOAD_SECONDS, "features are not changed")
        arrived_at, stuck = _drained(stage, drain_seconds)
    finally:
        load.close()
        producers.close()
        rig.heal()
    history = replace(
        load.history(),
        changed=producers.changed,
        bad=cell.bad,
        may_know_less=cell.may_know_less,
    )
    verdict = _judge(stage, cell, history)
    died = sum(death.name not in cell.kills for death in stage.deaths())
    return Outcome(cell.name, verdict, arrived_at - healed_at, died, load.slowest_seconds, stuck)


def _judge(stage: Stage, cell: Cell, history: History) -> Verdict:
    observed = stage.stores.observe(history, stage.load.sessions, stage.load.run)
    if history.whole:
        observed.kept = stage.stores.kept(stage.began_at)
    return check(history, observed, forgiven=cell.forgives)


def _strike_and_heal(cell: Cell, stage: Stage) -> float:
    """From the first customer to the last; when the fault had ended."""
    rig, load = stage.rig, stage.load
    rig.until(lambda: load.share() >= BEFORE, LOAD_SECONDS, "customers are not served")
    cell.strike(stage)
    rig.until_later(cell.seconds)
    rig.until(lambda: cell.met(stage), LOAD_SECONDS, f"{cell.name} does not come to pass")
    # Customers may be through before those whom it is to strike had a turn.
    rig.until(stage.has_struck, LOAD_SECONDS, f"{cell.name} does not strike")
    cell.heal(stage)
    rig.heal()
    healed_at = time.monotonic()
    assert stage.struck() or not stage.witnesses, f"{cell.name} never struck"
    load.hurry()
    rig.until(load.finished, LOAD_SECONDS, "customers are not served afterwards")
    return healed_at


def _drained(stage: Stage, seconds: float) -> tuple[float, dict[str, int]]:
    """Wait until nothing is under way: when all had arrived, and what is left when patience ends.

    A segment of the spool outlives its events by a moment: it is not waited for to say when.
    """
    until = time.monotonic() + seconds
    arrived = time.monotonic()
    while pending := stage.stores.pending():
        stage.rig.tend()
        if pending.keys() - {SPOOL}:
            arrived = time.monotonic()
        if time.monotonic() > until:
            break
        time.sleep(TICK_SECONDS)
    return arrived, pending
