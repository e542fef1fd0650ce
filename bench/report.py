"""Results: medians, ratios, claims and the tables that show them, as text, Markdown and JSON.

Knows nothing of how anything was measured.
"""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.machine import Description

RESULTS = Path(__file__).parent / "results"

_THOUSAND = 1000


@dataclass(frozen=True, slots=True)
class Table:
    """A titled table of ready-made cells; the first column names the row."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Claim:
    """What is promised, what was measured, and which way is better.

    One that is not `promised` is a mark to work towards: missing it is no failure.
    """

    text: str
    measured: float
    target: float
    at_least: bool = True
    promised: bool = True

    @property
    def holds(self) -> bool:
        """Whether the measurement keeps the promise."""
        return self.measured >= self.target if self.at_least else self.measured <= self.target

    def cells(self) -> list[str]:
        """The claim as a row."""
        sign = "≥" if self.at_least else "≤"
        return [
            self.text,
            f"{sign} {figure(self.target)}",
            figure(self.measured),
            "yes" if self.holds else "NO" if self.promised else "not yet",
        ]


@dataclass(frozen=True, slots=True)
class Result:
    """One benchmark's outcome; `samples` are the raw figures of every round."""

    name: str
    machine: Description
    tables: Sequence[Table]
    claims: Sequence[Claim] = ()
    notes: Sequence[str] = ()
    samples: Sequence[dict[str, object]] = field(default_factory=list)

    @property
    def kept(self) -> bool:
        """Whether every promise was kept."""
        return all(claim.holds for claim in self.claims if claim.promised)


def median(values: Sequence[float]) -> float:
    """The median; NaN of nothing."""
    return statistics.median(values) if values else float("nan")


def ratio(value: float, base: float) -> str:
    """How many times `base` a value is."""
    return f"{value / base:.2f}" if base else "–"


def figure(value: float) -> str:
    """A number with three significant digits, thousands as 12.3k."""
    if value != value:  # noqa: PLR0124 - NaN
        return "–"
    if abs(value) >= 10 * _THOUSAND:
        return f"{value / _THOUSAND:.1f}k"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def duration(seconds: float) -> str:
    """A time in the unit that reads best."""
    if seconds != seconds:  # noqa: PLR0124 - NaN
        return "–"
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.2f} ms"
    return f"{seconds:.2f} s"


def text(result: Result) -> str:
    """The result for a terminal."""
    parts = [f"== {result.name} =="]
    parts += [f"{table.title}\n{_aligned(table)}" for table in _all_tables(result)]
    parts += [f"* {note}" for note in result.notes]
    return "\n\n".join(parts)


def markdown(result: Result) -> str:
    """The result as the page that is kept with the source."""
    parts = [f"# Benchmark: {result.name}", _machine_line(result.machine)]
    parts += [f"## {table.title}\n\n{_piped(table)}" for table in _all_tables(result)]
    if result.notes:
        parts.append("\n".join(f"- {note}" for note in result.notes))
    return "\n\n".join(parts) + "\n"


def write(result: Result, directory: Path = RESULTS) -> Path:
    """Writes NAME.json and NAME.md; returns the latter's path."""
    directory.mkdir(parents=True, exist_ok=True)
    document = json.dumps(asdict(result), ensure_ascii=False, indent=1)
    (directory / f"{result.name}.json").write_text(document + "\n", encoding="utf-8")
    page = directory / f"{result.name}.md"
    page.write_text(markdown(result), encoding="utf-8")
    return page


def _all_tables(result: Result) -> list[Table]:
    tables = list(result.tables)
    if result.claims:
        rows = [claim.cells() for claim in result.claims]
        tables.append(Table("Targets", ("", "target", "measured", "holds"), rows))
    return tables


def _machine_line(machine: Description) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    return (
        f"{machine.measured_at} · {machine.cores} cores of {machine.cpu}, "
        f"{machine.memory_gib} GiB · {machine.kernel} · Python {machine.python}, {versions} · "
        f"load average at the start {machine.load_average:.2f}"
    )


def _aligned(table: Table) -> str:
    grid = [list(table.columns), *[list(row) for row in table.rows]]
    widths = [max(len(row[at]) for row in grid) for at in range(len(table.columns))]
    lines = ["  ".join(_padded(row, widths)).rstrip() for row in grid]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _padded(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    first = row[0].ljust(widths[0])
    return [first, *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]


def _piped(table: Table) -> str:
    rule = ["---", *("---:" for _ in table.columns[1:])]
    rows = [table.columns, rule, *table.rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
