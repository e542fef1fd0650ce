"""The whole event path at a steady pace: outbox, relay, SQS, workers, and what SQS is asked.

The relay and the workers are the product's own processes; only what the workers' ports do at the
end is a mark in a sink, because moto's DynamoDB could not keep pace.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import redis

from adapters.msgpack_wire import encode_event
from bench import machine, queues, stack
from bench.consumers import Group, start_group
from bench.numbered import question
from bench.processes import Child, DidNotStartError, Processes, free_port
from bench.report import Table
from bench.sink import ENVIRONMENT, Sink, create
from bench.stack import Sqs, Valkey, call_counts
from bench.stored import answer
from domain.answers import HEADER, AnswerKey, Header

OUTBOX = "outbox:0"

_WARM_UP_EVENTS = 40
_START_SECONDS = 60.0
_DRAIN_SECONDS = 30.0
_SETTLE_SECONDS = 0.5
"""For the last deletes, which wait a little to be batched."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How fast and how long."""

    seconds: int
    events_per_second: int = 500


@dataclass(frozen=True, slots=True)
class Flow:
    """What a paced run came to."""

    events: int
    events_per_second: float
    calls: Mapping[str, int]
    drained_after_seconds: float
    applied_twice: int
    jobs: int

    @property
    def requests_per_event(self) -> float:
        """SQS requests of every kind by events."""
        return sum(self.calls.values()) / self.events

    def table(self) -> Table:
        """The requests by action."""
        rows = [
            [action, str(count), f"{count / self.events:.4f}"]
            for action, count in sorted(self.calls.items())
        ]
        total = sum(self.calls.values())
        rows.append(["all", str(total), f"{self.requests_per_event:.4f}"])
        title = (
            f"SQS requests at {self.events_per_second:.0f} events/s: {self.events} questions, "
            f"{self.jobs} jobs on four queues, all applied {self.drained_after_seconds:.2f} s "
            "after the last"
        )
        return Table(title, ("action", "requests", "per event"), rows)


class NotAppliedError(RuntimeError):
    """Some jobs never had their effect."""


@dataclass(frozen=True, slots=True)
class _Sinks:
    """One sink for each kind of effect, and how many marks each must get."""

    expected: Mapping[str, int]
    sinks: Mapping[str, Sink]

    def missing(self) -> dict[str, int]:
        """How many marks each sink lacks."""
        lacking = {n: self.expected[n] - sink.applied() for n, sink in self.sinks.items()}
        return {name: count for name, count in lacking.items() if count > 0}


def run(plan: Plan) -> Flow:
    """Send events at a pace and count what SQS is asked for them."""
    cores = machine.cores()
    paced = plan.seconds * plan.events_per_second
    with Processes() as processes:
        valkey = stack.start_valkey(processes, cores.others)
        sqs = stack.start_sqs(processes, cores.others)
        queues.create_all(sqs.client())
        children = _start(processes, cores.server, valkey, sqs)
        sinks = _Sinks(_expected(_WARM_UP_EVENTS + paced), _create_sinks(processes, paced))
        with machine.pinned(cores.others), redis.Redis.from_url(valkey.url) as client:
            outbox = _Outbox(client)
            outbox.write(range(_WARM_UP_EVENTS), plan.events_per_second)
            _wait(_Sinks(_expected(_WARM_UP_EVENTS), sinks.sinks), children, _START_SECONDS)
            time.sleep(_SETTLE_SECONDS)
            before, started = sqs.calls(), time.monotonic()
            outbox.write(range(_WARM_UP_EVENTS, _WARM_UP_EVENTS + paced), plan.events_per_second)
            sent = time.monotonic()
            _wait(sinks, children, _DRAIN_SECONDS)
            drained = time.monotonic()
            time.sleep(_SETTLE_SECONDS)
            return Flow(
                events=paced,
                events_per_second=paced / (sent - started),
                calls=call_counts(before, sqs.calls()),
                drained_after_seconds=drained - sent,
                applied_twice=sum(sink.twice() for sink in sinks.sinks.values()),
                jobs=sum(_expected(paced).values()),
            )


def _expected(events: int) -> dict[str, int]:
    """Every question has three effects, every fourth, a title's look-up, has one more."""
    return {
        "sessions": events,
        "analytics": events,
        "audit": events,
        "counts": -(-events // 4),
    }


def _create_sinks(processes: Processes, paced: int) -> dict[str, Sink]:
    size = _WARM_UP_EVENTS + paced
    return {name: create(processes.directory / f"sink-{name}", size) for name in _expected(0)}


def _start(
    processes: Processes, cores: frozenset[int], valkey: Valkey, sqs: Sqs
) -> Sequence[Child]:
    environment = {
        **sqs.environment,
        ENVIRONMENT: str(processes.directory / "sink"),
        "MANGAASSIST_REDIS_URL": valkey.url,
        "MANGAASSIST_LOG_LEVEL": "WARNING",
    }
    relay = processes.start(
        "relay",
        [sys.executable, "-m", "workers.relay"],
        cores,
        {**environment, "MANGAASSIST_METRICS_PORT": str(free_port())},
    )
    groups = [
        start_group(Group(processes, cores, environment), group, "memory")
        for group in ("interactive", "streams")
    ]
    return [relay, *groups]


class _Outbox:
    """Writes questions as the request path does, with what was found beside the event."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        packed = answer(AnswerKey("trending", "", "ja")).pack()
        self._head = packed[: HEADER.size + Header.unpack(packed).preview_bytes]

    def write(self, numbers: range, per_second: int) -> None:
        """Write these events, each at its time."""
        started = time.monotonic()
        for place, number in enumerate(numbers):
            wait = started + place / per_second - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            event = encode_event(question(number))
            self._client.xadd(OUTBOX, {"e": event, "f": 1, "h": self._head})


def _wait(sinks: _Sinks, children: Sequence[Child], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while missing := sinks.missing():
        for child in children:
            if child.process.poll() is not None:
                raise DidNotStartError(f"{child.name} ended:\n{child.last_words()}")
        if time.monotonic() > deadline:
            words = "\n".join(f"{child.name}:\n{child.last_words()}" for child in children)
            raise NotAppliedError(f"jobs without effect: {missing}\n{words}")
        time.sleep(0.01)
