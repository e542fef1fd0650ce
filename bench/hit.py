"""The hit path beside other implementations: requests/s, CPU per request, latency.

Rounds are interleaved, and the order turns with each, so that a drift of the machine hits all
alike. Every response is checked, in the timed rounds too, and so is what it must have caused.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import redis

from bench import machine, ours, servers, stack, stored
from bench.generator import Load, generate
from bench.hit_tables import CONNECTIONS, Sample, notes_on, summarise
from bench.processes import DidNotStartError, Processes
from bench.report import Result, duration, figure
from bench.servers import FASTAPI, FLOOR, NGINX, OBVIOUS, OURS, NotInstalledError, Place, Server
from domain.answers import AnswerKey

WARM_UP_SECONDS = 2.0
MAX_DEGRADED_SHARE = 0.01


class WrongAnswerError(RuntimeError):
    """A server answered wrongly, or lost what it should have handed over: its speed is nothing."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to measure."""

    rounds: int
    seconds: float


Starter = Callable[[Place], list[Server]]


def run(plan: Plan) -> Result:
    """Measure everything that can be started here."""
    description = machine.describe(_versions())
    cores = machine.cores()
    with Processes() as processes:
        place = _place(processes, cores)
        found, notes = _start_all(place)
        for server in found:
            _warm_up(server, cores)
        samples = _measure_all(found, plan, cores)
    return summarise(samples, description, [*notes, *notes_on(cores)])


def _place(processes: Processes, cores: machine.Cores) -> Place:
    valkey = stack.start_valkey(processes, cores.others)
    sqs = stack.start_sqs(processes, cores.others)
    body = stored.whole(stored.answer(AnswerKey("trending", "", "en")))
    redis.Redis.from_url(valkey.url).set(stored.PLAIN_KEY, body)
    return Place(processes, cores.server, cores.others, valkey, sqs, body)


def _start_all(place: Place) -> tuple[list[Server], list[str]]:
    starters: dict[str, Starter] = {
        OURS: ours.start_serving,
        FLOOR: servers.start_floor,
        FASTAPI: servers.start_fastapi,
        OBVIOUS: servers.start_obvious,
        NGINX: servers.start_nginx,
    }
    found: list[Server] = []
    notes: list[str] = []
    for name, start in starters.items():
        try:
            found += start(place)
        except NotInstalledError as reason:
            print(f"skipped: {name}: {reason}", flush=True)
            notes.append(f"Not measured here: {name}: {reason}.")
    if not found:
        raise DidNotStartError("no server could be started")
    return found, notes


def _warm_up(server: Server, cores: machine.Cores) -> None:
    for connections in (1, max(CONNECTIONS)):
        _checked(server, connections, WARM_UP_SECONDS / 2, cores)


def _measure_all(found: Sequence[Server], plan: Plan, cores: machine.Cores) -> list[Sample]:
    samples: list[Sample] = []
    neighbours = machine.Neighbours()
    for number in range(plan.rounds):
        for connections in CONNECTIONS:
            for server in turned(found, number):
                neighbours.share()
                cpu = server.child.cpu_seconds()
                load = _checked(server, connections, plan.seconds, cores)
                cpu = server.child.cpu_seconds() - cpu
                sample = _sample(server, connections, load, cpu)
                samples.append(replace(sample, round=number, neighbours=neighbours.share()))
                print(_line(samples[-1]), flush=True)
    return samples


def turned(found: Sequence[Server], number: int) -> list[Server]:
    """The servers in the order of this round: another one begins each time."""
    at = number % len(found)
    return [*found[at:], *found[:at]]


def _checked(server: Server, connections: int, seconds: float, cores: machine.Cores) -> Load:
    """Load a server and see that every answer, and all that it caused, is right."""
    before = server.effects.count() if server.effects else 0
    load = generate(server.port, server.exchanges, connections, seconds, cores.others)
    if load.wrong:
        raise WrongAnswerError(f"{server.name}: {load.wrong[0]} ({len(load.wrong)} such)")
    if load.degraded > MAX_DEGRADED_SHARE * load.requests:
        raise WrongAnswerError(f"{server.name}: {load.degraded} of {load.requests} were degraded")
    if server.effects:
        caused = server.effects.count() - before
        # Of a degraded answer's event nobody knows: it may still have been written, or not.
        least = (load.requests - load.degraded) * server.effects.per_request
        most = load.requests * server.effects.per_request
        if not least <= caused <= most:
            raise WrongAnswerError(f"{server.name}: {caused} effects of {load.requests} answers")
        server.effects.forget()
    return load


def _sample(server: Server, connections: int, load: Load, cpu: float) -> Sample:
    return Sample(
        server=server.name,
        connections=connections,
        requests_per_second=load.requests / load.seconds,
        cpu_us=cpu / load.requests * 1e6,
        busy=cpu / load.seconds,
        p50_seconds=load.p50_seconds,
        p99_seconds=load.p99_seconds,
        degraded=load.degraded / load.requests,
    )


def _line(sample: Sample) -> str:
    return (
        f"round {sample.round + 1}  c={sample.connections:<3} {sample.server:<40} "
        f"{figure(sample.requests_per_second):>7}/s  {sample.cpu_us:7.0f} µs CPU  "
        f"busy {sample.busy:4.0%}  p50 {duration(sample.p50_seconds):>8}  "
        f"neighbours {sample.neighbours:.2f}"
    )


def _versions() -> dict[str, str]:
    try:
        return {"nginx": servers.find_nginx().version()}
    except NotInstalledError:
        return {}
