"""What the hit path's samples come to: tables, ratios within rounds, and the targets.

Pure: knows no server and no clock.
"""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bench import machine
from bench.report import Claim, Result, Table, duration, figure, median
from bench.servers import FASTAPI, FLOOR, NGINX, OBVIOUS, OURS

CONNECTIONS = (1, 16, 64)

_RATE = "requests_per_second"
_WANTED = (
    ("requests/s by FastAPI + redis-py GET, 16 connections", FASTAPI, _RATE, 3.5),
    ("requests/s by the same with four apply_async, 16", OBVIOUS, _RATE, 60.0),
    ("CPU per request by the floor's, 16", FLOOR, "cpu_us", 2.0),
    ("requests/s by nginx + Lua (the mark), 16", NGINX, _RATE, 1.0),
)

_NOTES = (
    """MangaAssist verifies a bearer token, classifies the question, checks the session's owner, \
reads and splices the answer, writes the event and measures itself; no two questions within \
thousands are spelt alike (many are when case and marks are folded), except in the row that says \
so. The floor, FastAPI GET and nginx only send the stored bytes. Every body is of 5 KiB.""",
    "Where a server's core is not busy, the other core is the limit: compare the CPU time.",
    "Ratios are medians over the rounds of the quotient within a round.",
    """The SQS emulator answers at once; a real one takes some 8 ms, which the four apply_async \
would wait for.""",
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One server at one number of connections in one round."""

    server: str
    connections: int
    requests_per_second: float
    cpu_us: float
    busy: float
    p50_seconds: float
    p99_seconds: float
    degraded: float = 0.0
    round: int = 0
    neighbours: float = 0.0


def summarise(
    samples: Sequence[Sample], description: machine.Description, notes: Sequence[str]
) -> Result:
    """The tables and claims of these samples."""
    tables = [_table(samples, connections) for connections in CONNECTIONS]
    disturbed = sum(sample.neighbours > machine.QUIET_SHARE for sample in samples)
    warning = (
        [f"{disturbed} of {len(samples)} samples were disturbed by other processes."]
        if disturbed
        else []
    )
    degraded = max((sample.degraded for sample in samples), default=0.0)
    if degraded:
        warning.append(
            f"In one round {degraded:.3%} of an implementation's answers came from its own memory, "
            "because Redis took longer than its budget of 20 ms."
        )
    return Result(
        "hit",
        description,
        tables,
        _claims(samples),
        [*warning, *notes],
        [asdict(sample) for sample in samples],
    )


def _table(samples: Sequence[Sample], connections: int) -> Table:
    rows = []
    for name in dict.fromkeys(sample.server for sample in samples):
        mine = _of(samples, name, connections)
        rows.append(
            [
                name,
                figure(median([sample.requests_per_second for sample in mine])),
                _times(samples, name, FASTAPI, connections, _RATE),
                _times(samples, name, NGINX, connections, _RATE),
                f"{median([sample.cpu_us for sample in mine]):.0f}",
                _times(samples, name, FLOOR, connections, "cpu_us"),
                f"{median([sample.busy for sample in mine]):.0%}",
                duration(median([sample.p50_seconds for sample in mine])),
                duration(median([sample.p99_seconds for sample in mine])),
            ]
        )
    columns = (
        "server",
        "requests/s",
        "× FastAPI GET",
        "× nginx + Lua",
        "CPU µs/request",
        "× floor",
        "its core busy",
        "p50",
        "p99",
    )
    rounds = len({sample.round for sample in samples})
    plural = "connection" if connections == 1 else "connections"
    return Table(f"{connections} {plural}, medians of {rounds} rounds", columns, rows)


def _of(samples: Sequence[Sample], name: str, connections: int) -> list[Sample]:
    return [
        sample for sample in samples if sample.server == name and sample.connections == connections
    ]


def paired(
    samples: Sequence[Sample], name: str, base: str, connections: int, what: str
) -> float | None:
    """The median over the rounds of one server's figure by another's of the same round."""
    bases = {sample.round: sample for sample in _of(samples, base, connections)}
    ratios = [
        float(getattr(sample, what)) / float(getattr(bases[sample.round], what))
        for sample in _of(samples, name, connections)
        if sample.round in bases and getattr(bases[sample.round], what)
    ]
    return statistics.median(ratios) if ratios else None


def _times(samples: Sequence[Sample], name: str, base: str, connections: int, what: str) -> str:
    value = paired(samples, name, base, connections, what)
    return "–" if value is None else f"{value:.2f}"


def _claims(samples: Sequence[Sample]) -> list[Claim]:
    claims = []
    for text, base, what, target in _WANTED:
        value = paired(samples, OURS, base, 16, what)
        if value is not None:
            is_rate = what == _RATE
            claims.append(
                Claim(text, round(value, 2), target, at_least=is_rate, promised=base != NGINX)
            )
    return claims


def notes_on(cores: machine.Cores) -> list[str]:
    where = (
        f"Every server is one process on core {min(cores.server)}; the generator, Valkey "
        f"(append-only file, synced every second) and the SQS emulator share core "
        f"{min(cores.others)}."
    )
    if cores.apart:
        return [where, *_NOTES]
    return ["There is one core only: the figures mean little.", where, *_NOTES]
