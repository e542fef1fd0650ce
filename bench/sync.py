"""Syncing features beside Feast's materialization into the same DynamoDB server.

Ours reads the feature store and merges with conditions; Feast reads local Parquet files and
overwrites. Each is run twice on the same data: at first everything is new, then nothing is.
"""

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from bench import feast, machine
from bench.processes import Child, DidNotStartError, Processes
from bench.report import Claim, Result, Table, figure
from bench.stack import CREDENTIALS, start_moto, start_sqs, start_valkey

OURS, FEAST = "MangaAssist", f"Feast {feast.VERSION}"
FIRST, AGAIN = "everything is new", "nothing has changed"
GROUPS = 2
PATIENCE_SECONDS = 3600.0
ITEMS = "items"
"""Counted among the calls: items written, which are what DynamoDB bills."""
GROWTH_MIB = 32.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How many users, and how often; Feast syncs no more users than `beside`."""

    users: Sequence[int]
    rounds: int
    beside: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One run over all users. Requests are those of the syncing process."""

    who: str
    what: str
    users: int
    round: int
    seconds: float
    cpu_seconds: float
    calls: Mapping[str, int]
    max_rss_mib: float
    tenth_rss_mib: float = 0.0
    """The most it had until a tenth of the work was done."""

    @property
    def records(self) -> int:
        """A record is one feature group of one user."""
        return self.users * GROUPS

    @property
    def calls_per_record(self) -> float:
        """Requests for each record."""
        return (sum(self.calls.values()) - self.calls.get(ITEMS, 0)) / self.records

    @property
    def items_per_record(self) -> float:
        """Items written for each record."""
        return self.calls.get(ITEMS, 0) / self.records


def plan(rounds: int | None, *, quick: bool) -> Plan:
    """The plan of the benchmark; the whole one takes about half an hour."""
    users = (300, 1000) if quick else (1000, 10_000, 100_000)
    return Plan(users, rounds or 1, beside=10_000)


def run(of: Plan) -> Result:
    """Measure; where Feast cannot be had, without it."""
    notes = [BESIDE, LIMIT]
    try:
        feast_python: str | None = str(feast.python())
    except feast.NotInstalledError as error:
        feast_python = None
        notes.append(str(error))
    description = machine.describe({"feast": feast.VERSION} if feast_python else None)
    samples: list[Sample] = []
    for number in range(of.rounds):
        for users in of.users:
            samples += _measure(users, number, feast_python if users <= of.beside else None)
    return summarise(samples, description, notes)


def _measure(users: int, number: int, feast_python: str | None) -> list[Sample]:
    cores = machine.cores()
    with Processes() as processes:
        moto = start_moto(processes, cores.others)
        store = start_sqs(processes, cores.others)
        valkey = start_valkey(processes, cores.others)
        environment = {
            **moto.environment,
            **store.endpoint,
            "MANGAASSIST_REDIS_URL": valkey.url,
        }
        _ours(processes, "load", users, cores.server, environment)
        lines = _ours(processes, "sync", users, cores.server, environment)
        samples = _samples(OURS, users, number, lines)
        if feast_python is not None:
            child = processes.start(
                "feast",
                [
                    feast_python,
                    feast_script(),
                    processes.directory,
                    str(users),
                    moto.url,
                ],
                cores.server,
                {**CREDENTIALS, "PYTHONPATH": "", "FEAST_USAGE": "False"},
            )
            samples += _samples(FEAST, users, number, _lines(child))
    return samples


def feast_script() -> str:
    """The baseline's program."""
    return str(feast.PLACE.parents[1] / "bench" / "baselines" / "feast_materialize.py")


def _ours(
    processes: Processes,
    verb: str,
    users: int,
    cores: frozenset[int],
    environment: Mapping[str, str],
) -> list[dict[str, object]]:
    arguments = [sys.executable, "-m", "bench.our_sync", verb, str(users)]
    return _lines(processes.start(f"our-{verb}", arguments, cores, environment))


def _lines(child: Child) -> list[dict[str, object]]:
    if child.process.wait(PATIENCE_SECONDS):
        raise DidNotStartError(f"{child.name} failed:\n{child.last_words()}")
    printed = child.log.read_text(errors="replace").splitlines()
    return [json.loads(line) for line in printed if line.startswith("{")]


def _samples(who: str, users: int, number: int, lines: Sequence[dict[str, object]]) -> list[Sample]:
    return [
        Sample(
            who=who,
            what=what,
            users=users,
            round=number,
            **{name: line[name] for name in _MEASURED if name in line},  # type: ignore[arg-type]
        )
        for what, line in zip((FIRST, AGAIN), lines, strict=True)
    ]


_MEASURED = ("seconds", "cpu_seconds", "calls", "max_rss_mib", "tenth_rss_mib")


def summarise(
    samples: Sequence[Sample], description: machine.Description, notes: Sequence[str]
) -> Result:
    """The tables and claims of these samples."""
    cases = sorted(
        {(sample.what, sample.users, sample.who) for sample in samples},
        key=lambda case: (case[0] != FIRST, case[1], case[2] != OURS),
    )
    rows = [_row(_of(samples, *case)) for case in cases]
    speed = Table(
        "Syncing two feature groups of each user",
        ("", "users", "records/s", "CPU µs/record", "requests/record", "items/record", "MiB"),
        rows,
    )
    return Result(
        "sync", description, [speed], _claims(samples), notes, [asdict(it) for it in samples]
    )


def _of(samples: Sequence[Sample], what: str, users: int, who: str) -> list[Sample]:
    return [s for s in samples if (s.what, s.users, s.who) == (what, users, who)]


def _row(of: Sequence[Sample]) -> list[str]:
    def middle(values: Sequence[float]) -> str:
        return figure(statistics.median(values))

    return [
        f"{of[0].who}, {of[0].what}",
        f"{of[0].users:,}",
        middle([it.records / it.seconds for it in of]),
        middle([it.cpu_seconds / it.records * 1e6 for it in of]),
        middle([it.calls_per_record for it in of]),
        middle([it.items_per_record for it in of]),
        middle([it.max_rss_mib for it in of]),
    ]


def _claims(samples: Sequence[Sample]) -> list[Claim]:
    most, least = max(s.users for s in samples), min(s.users for s in samples)
    first = _of(samples, FIRST, most, OURS)
    again = _of(samples, AGAIN, most, OURS)
    small = _of(samples, FIRST, least, OURS)
    growth = max(it.max_rss_mib - it.tenth_rss_mib for it in first)
    claims = [
        Claim(f"MiB gained after a tenth of {most:,} users", growth, GROWTH_MIB, at_least=False),
        Claim("items written when nothing has changed", _items(again), 0.0, at_least=False),
        Claim("requests per record when nothing has changed", _calls(again), 0.05, at_least=False),
        Claim(
            f"records/s of {most:,} users, by those of {least:,}",
            _per_second(first) / _per_second(small),
            0.8,
            promised=False,
        ),
    ]
    beside = max((it.users for it in samples if it.who == FEAST), default=0)
    if beside:
        theirs = _of(samples, AGAIN, beside, FEAST)
        ratio = _per_second(_of(samples, AGAIN, beside, OURS)) / _per_second(theirs)
        claims.append(
            Claim("records/s when nothing has changed, by Feast's", ratio, 1.0, promised=False)
        )
    return claims


def _per_second(of: Sequence[Sample]) -> float:
    return statistics.median(it.records / it.seconds for it in of)


def _calls(of: Sequence[Sample]) -> float:
    return statistics.median(it.calls_per_record for it in of)


def _items(of: Sequence[Sample]) -> float:
    return statistics.median(it.items_per_record for it in of)


BESIDE = (
    "Ours reads the feature store and what is merged, 100 of each in a request, and writes one "
    "item for each user who changed, under a condition; Feast reads Parquet from disk and "
    "overwrites one item for each record, 25 in a request. DynamoDB bills items, not requests."
)
LIMIT = (
    "DynamoDB is moto, which answers one request at a time: what is new is bounded by how many "
    "conditional updates it does, not by the syncing process."
)
