"""One run of an event worker: a filled queue, a fresh worker, and a sink watched from outside.

The rate is taken between the first and the last effect, so a start costs nothing.
"""

import json
import time
import urllib.request
from dataclasses import dataclass, replace

from bench import machine, queues, stack
from bench.consumers import CONSUMERS, Site
from bench.processes import Child, DidNotStartError, Processes, stop, wait_for
from bench.sink import Sink, create
from bench.stack import Moto, Sqs

LATENCY_MS = 8
"""What a request to SQS takes within a region."""

MEMORY = "in-memory sink"
MEMORY_DISTANT = f"in-memory sink, SQS {LATENCY_MS} ms away"
KINESIS = "Kinesis (moto)"

_POLL_SECONDS = 0.005
_RECORDS_OF_A_READ = 5000


class LostEventsError(RuntimeError):
    """Not every event had its effect, or a message was left: the speed is nothing."""


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of worker with one effect; the run ends early after `limit_seconds`."""

    consumer: str
    effect: str
    events: int
    limit_seconds: float = 60.0
    may_be_cut_short: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """One run."""

    consumer: str
    effect: str
    events: int
    events_per_second: float
    cpu_us: float
    requests_per_event: float
    applied_twice: int
    neighbours: float
    round: int = 0


def measure(case: Case, number: int, moto: Moto, cores: machine.Cores) -> Sample:
    """Run one case; raises LostEventsError and DidNotStartError."""
    consumer = CONSUMERS[case.consumer]
    with Processes() as processes:
        stream = f"bench-{time.time_ns()}" if case.effect == KINESIS else ""
        if stream:
            _create_stream(moto, stream)
        sqs = stack.start_sqs(processes, cores.others)
        site = Site(
            processes,
            cores.server,
            sqs,
            processes.directory / "sink",
            moto if stream else None,
            stream,
        )
        # Under another name for each kind of effect; ours keeps apart what each port is given.
        sink = create(site.sink.with_name(site.sink.name + consumer.sink_suffix), case.events)
        with machine.pinned(cores.others):
            url = consumer.fill(site, case.events)
        if case.effect == MEMORY_DISTANT:
            _slow_down(sqs)
        sample = replace(_drain(case, site, sink, url), round=number)
        if stream:
            _check_stream(moto, stream, case.events)
        return sample


def _drain(case: Case, site: Site, sink: Sink, url: str) -> Sample:
    sends = sum(_requests(site.sqs, "SendMessage").values())
    worker = CONSUMERS[case.consumer].start(site)
    wait_for(worker, lambda: sink.applied() > 0)
    neighbours = machine.Neighbours()
    started, first, cpu = time.monotonic(), sink.applied(), worker.cpu_seconds()
    last = _wait_for_all(case, sink, worker, started)
    seconds, cpu = time.monotonic() - started, worker.cpu_seconds() - cpu
    share = neighbours.share()
    stop(worker)
    applied = sink.applied()
    _check(case, applied, queues.left(site.sqs.client(), url))
    others = sum(_requests(site.sqs, "ReceiveMessage", "DeleteMessage", "Change").values())
    return Sample(
        consumer=case.consumer,
        effect=case.effect,
        events=applied,
        events_per_second=(last - first) / seconds,
        cpu_us=cpu / max(1, last - first) * 1e6,
        requests_per_event=sends / case.events + others / applied,
        applied_twice=sink.twice(),
        neighbours=share,
    )


def _wait_for_all(case: Case, sink: Sink, worker: Child, started: float) -> int:
    """How many were applied when all were, or when the time was up."""
    while (applied := sink.applied()) < case.events:
        if worker.process.poll() is not None:
            raise DidNotStartError(f"{worker.name} ended:\n{worker.last_words()}")
        if time.monotonic() - started > case.limit_seconds:
            break
        time.sleep(_POLL_SECONDS)
    return applied


def _check(case: Case, applied: int, left: int) -> None:
    if case.may_be_cut_short:
        return
    if applied < case.events:
        raise LostEventsError(f"{case.consumer}: {applied} of {case.events} events had an effect")
    if left:
        raise LostEventsError(f"{case.consumer}: {left} messages were left on the queue")


def _requests(sqs: Sqs, *beginnings: str) -> dict[str, int]:
    return {name: n for name, n in sqs.calls().items() if name.startswith(beginnings)}


def _slow_down(sqs: Sqs) -> None:
    rules = json.dumps([{"kind": "latency", "ms": LATENCY_MS}]).encode()
    request = urllib.request.Request(f"{sqs.url}/_emulator/faults", rules, method="PUT")  # noqa: S310
    with urllib.request.urlopen(request, timeout=10):  # noqa: S310
        pass


def _create_stream(moto: Moto, stream: str) -> None:
    client = moto.kinesis()
    client.create_stream(StreamName=stream, ShardCount=1)
    client.get_waiter("stream_exists").wait(StreamName=stream)


def _check_stream(moto: Moto, stream: str, events: int) -> None:
    """Every event must be in the stream itself, whatever the sink says."""
    client = moto.kinesis()
    shard = client.list_shards(StreamName=stream)["Shards"][0]["ShardId"]
    at = client.get_shard_iterator(
        StreamName=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    found: set[str] = set()
    while True:
        page = client.get_records(ShardIterator=at, Limit=_RECORDS_OF_A_READ)
        found.update(json.loads(record["Data"])["event_id"] for record in page["Records"])
        if not page["Records"]:
            break
        at = page["NextShardIterator"]
    client.delete_stream(StreamName=stream)
    if len(found) < events:
        raise LostEventsError(f"{len(found)} of {events} events are in the stream")
