"""The event path beside stock Celery: events/s of a worker's core, SQS requests per event.

Each run fills a fresh queue, starts a worker on the one core and watches a sink from outside: the
rate is taken between the first and the last effect. Both sides have the same effect.
"""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bench import machine, paced, stack
from bench.consumers import OURS, STOCK_BEST, STOCK_DEFAULTS, STOCK_PREFORK
from bench.drain import KINESIS, MEMORY, MEMORY_DISTANT, Case, Sample, measure
from bench.processes import Processes
from bench.report import Claim, Result, Table, figure, median

_NOTES = (
    """Ours: the relay's packer and envelope, the group `streams` with its pool, transport, \
metrics and acknowledgement after the effect. Stock: one task and one message for each event, \
acknowledged before the effect; tuned means polling_interval 0, 20 s long polls and as many \
prefetched as helped. The sink is a byte in shared memory for each event.""",
    "Requests per event count sending, receiving, deleting and changes of visibility.",
    "The ratio is to the best stock worker of the same round.",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run, and how often."""

    rounds: int
    cases: Sequence[Case]
    paced: paced.Plan


def plan(rounds: int | None, *, quick: bool) -> Plan:
    """Short runs where it must be quick."""
    part = 4 if quick else 1
    cases = [
        Case(OURS, MEMORY, 200_000 // part),
        Case(STOCK_BEST, MEMORY, 3_000 // part),
        Case(STOCK_PREFORK, MEMORY, 2_000 // part),
        Case(STOCK_DEFAULTS, MEMORY, 120, limit_seconds=6, may_be_cut_short=True),
        Case(OURS, MEMORY_DISTANT, 200_000 // part),
        Case(STOCK_BEST, MEMORY_DISTANT, 400 // part),
        Case(OURS, KINESIS, 20_000 // part),
        Case(STOCK_BEST, KINESIS, 800 // part),
    ]
    return Plan(rounds or (1 if quick else 3), cases, paced.Plan(seconds=5 if quick else 20))


def run(of: Plan) -> Result:
    """Measure everything."""
    description = machine.describe()
    samples: list[Sample] = []
    cores = machine.cores()
    with Processes() as processes:
        moto = stack.start_moto(processes, cores.others)
        for number in range(of.rounds):
            for case in of.cases:
                samples.append(measure(case, number, moto, cores))
                print(_line(samples[-1]), flush=True)
    flow = paced.run(of.paced)
    return summarise(samples, flow, description)


def _line(sample: Sample) -> str:
    return (
        f"round {sample.round + 1}  {sample.consumer:<30} {sample.effect:<32} "
        f"{figure(sample.events_per_second):>7} events/s  {sample.cpu_us:7.1f} µs CPU  "
        f"{sample.requests_per_event:.4f} requests/event  neighbours {sample.neighbours:.2f}"
    )


def summarise(
    samples: Sequence[Sample], flow: paced.Flow, description: machine.Description
) -> Result:
    """The tables and claims of these samples."""
    effects = list(dict.fromkeys(sample.effect for sample in samples))
    claims = [
        Claim(f"events/s by one stock task per event, {effect}", round(value, 1), 10)
        for effect in effects
        if (value := paired(samples, effect)) is not None
    ]
    claims.append(
        Claim(
            f"SQS requests per event at {flow.events_per_second:.0f} events/s",
            round(flow.requests_per_event, 4),
            0.15,
            at_least=False,
        )
    )
    return Result(
        "events",
        description,
        [*(_table(samples, effect) for effect in effects), flow.table()],
        claims,
        [*_warnings(samples), *_NOTES],
        [*(asdict(sample) for sample in samples), asdict(flow)],
    )


def _table(samples: Sequence[Sample], effect: str) -> Table:
    rows = []
    for name in dict.fromkeys(s.consumer for s in samples if s.effect == effect):
        mine = [s for s in samples if s.effect == effect and s.consumer == name]
        rows.append(
            [
                name,
                figure(median([s.events_per_second for s in mine])),
                f"{median([s.cpu_us for s in mine]):.1f}",
                f"{median([s.requests_per_event for s in mine]):.4f}",
            ]
        )
    columns = ("worker", "events/s", "CPU µs/event", "SQS requests/event")
    rounds = len({sample.round for sample in samples})
    return Table(f"{effect}: one worker on one core, medians of {rounds} rounds", columns, rows)


def paired(samples: Sequence[Sample], effect: str) -> float | None:
    """How many times the rate of the best stock worker of its round ours is: the median."""
    ratios = []
    for number in {sample.round for sample in samples}:
        of_round = {
            sample.consumer: sample.events_per_second
            for sample in samples
            if sample.round == number and sample.effect == effect
        }
        ours = of_round.pop(OURS, None)
        if ours is not None and of_round:
            ratios.append(ours / max(of_round.values()))
    return statistics.median(ratios) if ratios else None


def _warnings(samples: Sequence[Sample]) -> list[str]:
    disturbed = sum(sample.neighbours > machine.QUIET_SHARE for sample in samples)
    if not disturbed:
        return []
    return [f"{disturbed} of {len(samples)} runs were disturbed by other processes."]
