"""Recorded arrivals of chat requests, at their own pace and ten times faster, against one process.

The times are those of two public traces of chat services, the questions those of the mix. Who asks
does not wait for others: a process that falls behind is not spared.
"""

import asyncio
import csv
import gzip
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import takewhile

import aiohttp

from bench import machine
from bench.classify import SHARED
from bench.custom_questions import Question, mix
from bench.processes import HOST, DidNotStartError, Processes
from bench.report import Claim, Result, Table, duration, figure
from bench.stack import start_valkey
from bench.visitors import Site
from bench.waterfall import start
from bench.waterfall_tables import at

TRACES = {
    "azure": ("trace_azure_chat.csv.gz", "t_s", 1.0),
    "mooncake": ("trace_mooncake_chat.csv.gz", "t_ms", 0.001),
}
"""File, column and unit of each trace."""
PACES = (1.0, 10.0)
MAX_SECONDS = 2.0
"""What an answer may take at p95."""
PATIENCE_SECONDS = 30.0
USERS = 500
"""They ask in turns."""


@dataclass(frozen=True, slots=True)
class Plan:
    """For how long each trace is replayed at each pace."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; `late_seconds` is how much too late it was asked for."""

    kind: str
    source: str
    seconds: float
    late_seconds: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One replay."""

    trace: str
    pace: float
    asked: int
    errors: int
    per_second: float
    p50_seconds: float
    p95_seconds: float
    custom_p50_seconds: float
    custom_p95_seconds: float
    sources: dict[str, int]
    late_p99_seconds: float


def run(plan: Plan) -> Result:
    """Replay each trace at each pace."""
    description, cores = machine.describe(), machine.cores()
    samples: list[Sample] = []
    asked = 0
    with Processes() as processes:
        valkey = start_valkey(processes, cores.others)
        site = start(processes, cores, valkey, USERS)
        with machine.pinned(cores.others):
            for trace in TRACES:
                for pace in PACES:
                    times = list(arrivals(trace, plan.seconds, pace))
                    questions = mix(len(times), skip=asked)  # none that another replay asked
                    asked += len(times)
                    replay = _replay(site, trace, pace, times, questions)
                    samples.append(asyncio.run(replay))
    return summarise(samples, description)


def arrivals(trace: str, seconds: float, pace: float) -> Iterator[float]:
    """The seconds at which requests of a trace come, that much faster, for so long."""
    name, column, unit = TRACES[trace]
    path = SHARED / name
    if not path.exists():
        raise DidNotStartError(f"{name} is not among the development data")
    with gzip.open(path, "rt", newline="") as lines:
        times = (float(row[column]) * unit / pace for row in csv.DictReader(lines))
        yield from takewhile(lambda moment: moment < seconds, times)


async def _replay(
    site: Site, trace: str, pace: float, times: Sequence[float], questions: Sequence[Question]
) -> Sample:
    began = time.perf_counter()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as client, asyncio.TaskGroup() as group:
        tasks = []
        for number, (moment, question) in enumerate(zip(times, questions, strict=True)):
            await asyncio.sleep(max(0.0, began + moment - time.perf_counter()))
            name = f"{trace}-{pace:g}-{number}"
            due = began + moment
            token = site.identity.tokens[number % USERS]
            asking = _ask(client, site, question, name=name, token=token, due=due)
            tasks.append(group.create_task(asking))
    replies = [reply for task in tasks if (reply := task.result()) is not None]
    custom = [reply.seconds for reply in replies if reply.kind == "custom"]
    every = [reply.seconds for reply in replies]
    return Sample(
        trace=trace,
        pace=pace,
        asked=len(times),
        errors=len(times) - len(replies),
        per_second=len(times) / (times[-1] or 1.0),
        p50_seconds=at(every, 0.5),
        p95_seconds=at(every, 0.95),
        custom_p50_seconds=at(custom, 0.5),
        custom_p95_seconds=at(custom, 0.95),
        sources=dict(Counter(reply.source for reply in replies)),
        late_p99_seconds=at([reply.late_seconds for reply in replies], 0.99),
    )


async def _ask(
    client: aiohttp.ClientSession,
    site: Site,
    question: Question,
    *,
    name: str,
    token: str,
    due: float,
) -> Reply | None:
    started = time.perf_counter()
    try:
        async with (
            asyncio.timeout(PATIENCE_SECONDS),
            client.post(
                f"http://{HOST}:{site.port}/v1/chat",
                json={"session_id": name, "message": question.message},
                headers={"Authorization": f"Bearer {token}"},
            ) as response,
        ):
            if response.status != 200:
                return None
            body = await response.json()
    except (TimeoutError, aiohttp.ClientError):
        return None
    took = time.perf_counter() - started
    return Reply(question.kind, str(body["source"]), took, started - due)


def summarise(samples: Sequence[Sample], description: machine.Description) -> Result:
    """The table and the claims."""
    rows = [
        [
            f"{one.trace}, {one.pace:g}×",
            str(one.asked),
            figure(one.per_second),
            str(one.errors),
            duration(one.p50_seconds),
            duration(one.p95_seconds),
            duration(one.custom_p50_seconds),
            duration(one.custom_p95_seconds),
            _shares(one.sources),
            duration(one.late_p99_seconds),
        ]
        for one in samples
    ]
    columns = (
        "arrivals", "questions", "per second", "errors", "p50", "p95", "custom p50", "custom p95",
        "served from", "asked too late, p99",
    )  # fmt: skip
    claims = [
        Claim("errors", sum(one.errors for one in samples), 0, at_least=False),
        Claim("slowest p95, s", max(one.p95_seconds for one in samples), MAX_SECONDS, False),
    ]
    notes = ["search takes 65 ms, the model 680 ms, a trip to Redis 1.5 ms; one serving process"]
    table = Table("Recorded arrivals", columns, rows)
    return Result("replay", description, [table], claims, notes, [asdict(one) for one in samples])


def _shares(sources: dict[str, int]) -> str:
    whole = sum(sources.values())
    return ", ".join(
        f"{name} {100 * count / whole:.0f}%" for name, count in sorted(sources.items())
    )
