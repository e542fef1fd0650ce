"""SQS cannot be reached for minutes while customers come at a steady pace.

The emulator is stopped, so that every call to it waits for its time-out. Serving, relay and workers
are the product's own processes; the workers write down which event had its effect, because moto's
DynamoDB writes some 200 turns a second and would be what is measured.
"""

import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import machine, ours, queues, stack
from bench.consumers import Group, start_group
from bench.our_worker import names_file
from bench.processes import Child, DidNotStartError, Processes, free_port
from bench.report import Claim, Result, Table
from bench.servers import Place
from bench.sink import ENVIRONMENT
from bench.steady import Customers, Phase

EFFECTS = ("sessions", "analytics", "audit")
_WARM_SECONDS = 5.0
_PATIENCE_SECONDS = 300.0
_POLL_SECONDS = 0.1
_CAUGHT_UP_SECONDS = 1.0
"""Whoever is less far behind has caught up."""


class NotDrainedError(RuntimeError):
    """Some events had no effect although SQS was there again."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How many customers come, and how long what lasts."""

    per_second: int = 200
    healthy_seconds: float = 60.0
    outage_seconds: float = 180.0


@dataclass(frozen=True, slots=True)
class Drain:
    """How the backlog was worked off while customers went on coming."""

    backlog: int
    seconds: float
    applied: int

    @property
    def per_second(self) -> float:
        """Events with all their effects, from the heal on."""
        return self.applied / self.seconds

    def told(self) -> str:
        """In words."""
        return (
            f"When SQS was back, {self.backlog:,} events waited. While customers went on coming, "
            f"{self.applied:,} had all three effects within {self.seconds:.1f} s; in the end all."
        )


@dataclass(frozen=True, slots=True)
class Stage:
    """What runs."""

    customers: Customers
    children: Sequence[Child]
    sqs: Child
    sink: Path

    def applied(self) -> set[str]:
        """The events that had every effect."""
        return set.intersection(*(_names(names_file(self.sink, what)) for what in EFFECTS))

    def check(self) -> None:
        """Raise DidNotStartError where a process has ended."""
        for child in self.children:
            if child.process.poll() is not None:
                raise DidNotStartError(f"{child.name} ended:\n{child.last_words()}")


def run(plan: Plan) -> Result:
    """Measure once; raises NotDrainedError and DidNotStartError."""
    description = machine.describe()
    with _staged(plan) as stage:
        neighbours = machine.Neighbours()
        _pass(stage, _WARM_SECONDS)
        stage.customers.next_phase()
        _pass(stage, plan.healthy_seconds)
        healthy = stage.customers.next_phase()
        stage.sqs.process.send_signal(signal.SIGSTOP)
        try:
            _pass(stage, plan.outage_seconds)
        finally:
            stage.sqs.process.send_signal(signal.SIGCONT)
        outage = stage.customers.next_phase()
        drain = _drained(stage, plan)
        draining = stage.customers.next_phase()
        stage.customers.leave()
        _all_applied(stage)
        phases = {"healthy": healthy, "SQS out of reach": outage, "draining": draining}
        return summarise(plan, description, phases, drain, neighbours.share())


@contextmanager
def _staged(plan: Plan) -> Iterator[Stage]:
    cores = machine.cores()
    with Processes() as processes:
        valkey = stack.start_valkey(processes, cores.others)
        sqs = stack.start_sqs(processes, cores.others)
        queues.create_all(sqs.client())
        place = Place(processes, cores.server, cores.others, valkey, sqs, b"")
        server, _ = ours.start_serving(place)
        sink = processes.directory / "sink"
        environment = {
            **sqs.environment,
            ENVIRONMENT: str(sink),
            "MANGAASSIST_REDIS_URL": valkey.url,
            "MANGAASSIST_LOG_LEVEL": "WARNING",
        }
        relay = processes.start(
            "relay",
            [sys.executable, "-m", "workers.relay"],
            cores.others,
            {**environment, "MANGAASSIST_METRICS_PORT": str(free_port())},
        )
        groups = [
            start_group(Group(processes, cores.others, environment), group, "names")
            for group in ("interactive", "streams")
        ]
        customers = Customers(server.port, server.exchanges, plan.per_second)
        customers.come()
        try:
            yield Stage(customers, [server.child, relay, *groups], sqs.child, sink)
        finally:
            customers.leave()


def _pass(stage: Stage, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        stage.check()
        time.sleep(_POLL_SECONDS)


def _drained(stage: Stage, plan: Plan) -> Drain:
    """Wait until hardly more is under way than when all is well."""
    started, before = time.monotonic(), len(stage.applied())
    backlog = len(stage.customers.event_ids()) - before
    few = plan.per_second * _CAUGHT_UP_SECONDS
    while len(stage.customers.event_ids()) - (applied := len(stage.applied())) > few:
        stage.check()
        if time.monotonic() > started + _PATIENCE_SECONDS:
            raise NotDrainedError(f"{applied} events have their effects")
        time.sleep(_POLL_SECONDS)
    return Drain(backlog, time.monotonic() - started, applied - before)


def _all_applied(stage: Stage) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while missing := set(stage.customers.event_ids()) - stage.applied():
        stage.check()
        if time.monotonic() > until:
            raise NotDrainedError(f"{len(missing)} events have no effect")
        time.sleep(_POLL_SECONDS)


def _names(path: Path) -> set[str]:
    return set(path.read_text().splitlines()) if path.exists() else set()


def summarise(
    plan: Plan,
    description: machine.Description,
    phases: dict[str, Phase],
    drain: Drain,
    neighbours: float,
) -> Result:
    """The tables and claims of a run."""
    healthy, outage = phases["healthy"], phases["SQS out of reach"]
    failed = sum(len(phase.failed) for phase in phases.values())
    worse = outage.percentile_ms(0.99) / healthy.percentile_ms(0.99)
    claims = [
        Claim("failed requests", failed, 0, at_least=False),
        Claim("p99 without SQS by the healthy p99", round(worse, 2), 2.0, at_least=False),
        Claim("events/s after the heal by arrivals", drain.per_second / plan.per_second, 3.0),
    ]
    rows = [
        [
            name,
            str(len(phase.latencies)),
            str(len(phase.failed)),
            str(phase.degraded),
            *(f"{phase.percentile_ms(share):.2f}" for share in (0.5, 0.99, 0.999)),
        ]
        for name, phase in phases.items()
    ]
    columns = ("", "requests", "failed", "from own memory", "p50 ms", "p99 ms", "p99.9 ms")
    title = f"{plan.per_second} requests/s, SQS out of reach for {plan.outage_seconds:.0f} s"
    notes = [
        drain.told(),
        "The store is a file of event ids, so that relay, SQS and workers are the limit.",
        f"Other processes kept {neighbours:.2f} cores busy meanwhile.",
    ]
    samples: list[dict[str, object]] = [
        {"phase": name, "latencies": phase.latencies} for name, phase in phases.items()
    ]
    return Result("outage", description, [Table(title, columns, rows)], claims, notes, samples)
