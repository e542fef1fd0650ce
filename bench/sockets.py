"""A thousand WebSocket clients of one serving process: errors, memory, and how soon answers come.

Clients are signed in, five of a user, and ask in turn. Visitors come one after the other and pause
before each question, the first as well: whatever slept is slow to wake, and nobody types faster.
"""

import asyncio
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from itertools import cycle

import redis
from websockets.asyncio.client import ClientConnection, connect

from bench import machine, ours
from bench.processes import HOST, Child, Processes
from bench.report import Claim, Result, Table, duration, figure
from bench.servers import Place
from bench.stack import start_sqs, start_valkey
from bench.stored import MIX, Asked
from domain.answers import AnswerKey, StoredAnswer

OF_USER = 5
CONNECTING_AT_ONCE = 50
QUESTION_SECONDS = 1.0
"""Each client asks about once in this time: half of what it may."""
ANSWER_SECONDS = 20.0
KIB = 1024
CONNECTION_KIB = 60
FIRST_TO_TENTH = 1.25
VISITOR_QUESTIONS = 10
VISITOR_PAUSE_SECONDS = 0.03


@dataclass(frozen=True, slots=True)
class Plan:
    """How many clients at once and how often each asks, and how many visitors come alone."""

    clients: int
    questions: int
    visitors: int


@dataclass(frozen=True, slots=True)
class Sample:
    """What was measured; times are seconds."""

    clients: int
    answers: int
    errors: int
    idle_kib: float
    used_kib: float
    cpu_us: float
    p50_seconds: float
    p99_seconds: float
    first_seconds: float
    tenth_seconds: float


@dataclass(slots=True)
class Heard:
    """How long answers took, and what was no right answer."""

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Site:
    """The process that is measured and what it must answer."""

    child: Child
    port: int
    identity: ours.Identity
    answers: dict[AnswerKey, StoredAnswer]

    async def connect(self, number: int, token: str) -> ClientConnection:
        """A client that is signed in."""
        return await connect(
            f"ws://{HOST}:{self.port}/v1/ws?session_id=bench-{number}",
            additional_headers={"Authorization": f"Bearer {token}"},
            compression=None, ping_interval=None, proxy=None, open_timeout=ANSWER_SECONDS,
        )  # fmt: skip

    async def ask(self, client: ClientConnection, asked: Asked, heard: Heard) -> float:
        """Ask and check the answer; how long it took."""
        frame = {"type": "message", "message": asked.message, "locale": asked.key.locale}
        text = json.dumps(frame, ensure_ascii=False)
        started = time.perf_counter()
        await client.send(text)
        got = await asyncio.wait_for(client.recv(decode=False), ANSWER_SECONDS)
        took = time.perf_counter() - started
        if not got.startswith(b'{"type":"answer",' + self.answers[asked.key].body[1:]):
            heard.errors.append(f"not the answer to {asked.message!r}: {got[:120]!r}")
        heard.seconds.append(took)
        return took


def run(plan: Plan) -> Result:
    """Measure one process."""
    description, cores = machine.describe(), machine.cores()
    with Processes() as processes:
        valkey = start_valkey(processes, cores.others)
        sqs = start_sqs(processes, cores.others)
        place = Place(processes, cores.server, cores.others, valkey, sqs, b"")
        users = [f"bench-{number}" for number in range(plan.clients // OF_USER + 1)]
        identity = ours.new_identity(processes.directory, users)
        with redis.Redis.from_url(valkey.url) as client:
            answers = ours.publish(client)
        child, port = ours.start_request_path(place, identity)
        with machine.pinned(cores.others):
            sample, errors = asyncio.run(_measure(Site(child, port, identity, answers), plan))
    return summarise(sample, description, errors)


async def _measure(site: Site, plan: Plan) -> tuple[Sample, Sequence[str]]:
    heard, visits = Heard(), Heard()
    await _visit(site, 3, Heard())  # what the first clients of a process cost, no later one does
    first, tenth = await _visit(site, plan.visitors, visits)
    before = machine.resident_bytes(site.child.pid)
    async with AsyncExitStack() as stack:
        clients = await _connect_all(site, plan.clients, stack)
        idle = machine.resident_bytes(site.child.pid)
        cpu = site.child.cpu_seconds()
        await asyncio.gather(
            *(_talk(site, client, plan, number, heard) for number, client in enumerate(clients))
        )
        cpu = site.child.cpu_seconds() - cpu
        used = machine.resident_bytes(site.child.pid)
    ranked = sorted(heard.seconds)
    errors = [*heard.errors, *visits.errors]
    sample = Sample(
        clients=plan.clients,
        answers=len(ranked),
        errors=len(errors) + plan.clients * plan.questions - len(ranked),
        idle_kib=(idle - before) / plan.clients / KIB,
        used_kib=(used - before) / plan.clients / KIB,
        cpu_us=cpu / len(ranked) * 1e6,
        p50_seconds=statistics.median(ranked),
        p99_seconds=ranked[len(ranked) * 99 // 100],
        first_seconds=first,
        tenth_seconds=tenth,
    )
    return sample, errors


async def _connect_all(site: Site, count: int, stack: AsyncExitStack) -> list[ClientConnection]:
    clients: list[ClientConnection] = []
    for first in range(0, count, CONNECTING_AT_ONCE):
        numbers = range(first, min(first + CONNECTING_AT_ONCE, count))
        tokens = site.identity.tokens
        clients += await asyncio.gather(*(site.connect(n, tokens[n // OF_USER]) for n in numbers))
    for client in clients:
        stack.push_async_callback(client.close)
    return clients


async def _talk(
    site: Site, client: ClientConnection, plan: Plan, number: int, heard: Heard
) -> None:
    questions = _questions(number)
    await asyncio.sleep(number / plan.clients * QUESTION_SECONDS)
    for _ in range(plan.questions):
        took = await site.ask(client, next(questions), heard)
        await asyncio.sleep(max(0.0, QUESTION_SECONDS - took))


async def _visit(site: Site, visitors: int, heard: Heard) -> tuple[float, float]:
    """The median times of the first and the tenth question of visitors."""
    asked = MIX[0]
    times: list[list[float]] = []
    for number in range(visitors):
        client = await site.connect(-1 - number, site.identity.tokens[-1])
        took = []
        for _ in range(VISITOR_QUESTIONS):
            await asyncio.sleep(VISITOR_PAUSE_SECONDS)
            took.append(await site.ask(client, asked, heard))
        times.append(took)
        await client.close()
    return statistics.median(t[0] for t in times), statistics.median(t[-1] for t in times)


def _questions(number: int) -> Iterator[Asked]:
    at = number % len(MIX)
    return cycle([*MIX[at:], *MIX[:at]])


def summarise(sample: Sample, description: machine.Description, errors: Sequence[str]) -> Result:
    """The table and the claims."""
    table = Table(
        f"{sample.clients} clients at once, {sample.answers} answers",
        ("measure", "value"),
        [
            ["errors", str(sample.errors)],
            ["memory of a connection that is signed in, KiB", f"{sample.idle_kib:.1f}"],
            ["memory of a connection after its questions, KiB", f"{sample.used_kib:.1f}"],
            ["CPU of an answer, µs", figure(sample.cpu_us)],
            ["time of an answer, p50", duration(sample.p50_seconds)],
            ["time of an answer, p99", duration(sample.p99_seconds)],
            ["first question after connecting, p50", duration(sample.first_seconds)],
            ["tenth question, p50", duration(sample.tenth_seconds)],
        ],
    )
    claims = [
        Claim("errors", sample.errors, 0, False),
        Claim("KiB per connection", sample.used_kib, CONNECTION_KIB, False),
        Claim(
            "first question after connecting ÷ tenth",
            sample.first_seconds / sample.tenth_seconds,
            FIRST_TO_TENTH,
            False,
        ),
    ]
    notes = [
        "The clients are one Python process on the other core, whose time is in that of answers.",
        *errors[:3],
    ]
    return Result("ws", description, [table], claims, notes, [asdict(sample)])
