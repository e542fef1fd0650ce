"""What reading a question costs: runs `bench.classify` on the server's core, judges its table."""

import os
import re
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from bench import machine
from bench.processes import DidNotStartError, Processes
from bench.report import Claim, Result, Table

MEDIAN_US, P99_US = 20.0, 500.0
"""What a question may cost with 13,000 titles."""
HOSTILE = "hostile"

_ROW = re.compile(r"(\S+)\s+(\d+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)")


@dataclass(frozen=True, slots=True)
class Cost:
    """One set of questions in one round; times are µs of processor time."""

    questions: str
    count: int
    median_us: float
    p99_us: float
    max_us: float


def run(rounds: int) -> Result:
    """Measure so many times."""
    description = machine.describe()
    costs: list[Cost] = []
    for _ in range(rounds):
        printed = _printed()
        costs += parse(printed)
    return summarise(costs, description, printed.splitlines()[0])


def _printed() -> str:
    shared = {name: os.environ[name] for name in ("MANGAASSIST_SHARED",) if name in os.environ}
    with Processes() as processes:
        arguments = [sys.executable, "-m", "bench.classify"]
        child = processes.start("classify", arguments, machine.cores().server, shared)
        if child.process.wait():
            raise DidNotStartError(f"classify failed:\n{child.last_words()}")
        return child.log.read_text()


def parse(printed: str) -> list[Cost]:
    """The rows of the table; raises ValueError where there are none."""
    rows = [_ROW.fullmatch(line.strip()) for line in printed.splitlines()]
    costs = [
        Cost(row[1], int(row[2]), float(row[3]), float(row[4]), float(row[5]))
        for row in rows
        if row is not None
    ]
    if not costs:
        raise ValueError(f"no table in {printed[:200]!r}")
    return costs


def summarise(costs: Sequence[Cost], description: machine.Description, what: str) -> Result:
    """The table and claims of these costs; the hostile set promises nothing."""
    by_set: dict[str, list[Cost]] = {}
    for cost in costs:
        by_set.setdefault(cost.questions, []).append(cost)
    figures = {name: _medians(of_set) for name, of_set in by_set.items()}
    usual = [figure for name, figure in figures.items() if name != HOSTILE]
    rows = [
        [name, str(by_set[name][0].count), *(f"{figure[column]:.1f}" for column in _COLUMNS)]
        for name, figure in figures.items()
    ]
    claims = [
        Claim(f"{title} of the slowest set, µs", max(row[column] for row in usual), limit, False)
        for column, title, limit in (
            ("median_us", "median", MEDIAN_US),
            ("p99_us", "99th percentile", P99_US),
        )
        if usual
    ]
    table = Table(
        f"Reading a question, CPU µs: {what}",
        ("set", "questions", "median", "p99", "max"),
        rows,
    )
    return Result("classify", description, [table], claims, [], [asdict(cost) for cost in costs])


_COLUMNS = ("median_us", "p99_us", "max_us")


def _medians(of_set: Sequence[Cost]) -> Mapping[str, float]:
    return {
        column: statistics.median(getattr(cost, column) for cost in of_set) for column in _COLUMNS
    }
