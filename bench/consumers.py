"""The workers of the event path that are compared: how each gets its events and is started."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import packed, queues
from bench.processes import Child, Processes, free_port
from bench.sink import ENVIRONMENT
from bench.stack import CREDENTIALS, Moto, Sqs
from config.queues import sqs_name

STOCK_BEST = "stock Celery, threads, tuned"
STOCK_PREFORK = "stock Celery, prefork, tuned"
STOCK_DEFAULTS = "stock Celery, defaults"
OURS = "MangaAssist"

_TUNED: Mapping[str, object] = {"polling_interval": 0, "wait_time_seconds": 20}
_THREADS = ("--pool", "threads", "--concurrency", "8", "--prefetch-multiplier", "4")
_PREFORK = ("--pool", "prefork", "--concurrency", "2", "--prefetch-multiplier", "8")


@dataclass(frozen=True, slots=True)
class Site:
    """Where one run takes place: fresh queues, a fresh sink, and a stream if one is wanted."""

    processes: Processes
    cores: frozenset[int]
    sqs: Sqs
    sink: Path
    moto: Moto | None = None
    stream: str = ""

    def environment(self) -> dict[str, str]:
        """What every worker is told."""
        aws = {**(self.moto.environment if self.moto else CREDENTIALS), **self.sqs.endpoint}
        stream = {"MANGAASSIST_ANALYTICS_STREAM": self.stream} if self.stream else {}
        return {**aws, **stream, ENVIRONMENT: str(self.sink)}


@dataclass(frozen=True, slots=True)
class Consumer:
    """One kind of worker."""

    name: str
    sink_suffix: str
    fill: Callable[[Site, int], str]
    """Puts so many events on the queue; returns the queue's URL."""
    start: Callable[[Site], Child]


@dataclass(frozen=True, slots=True)
class _Stock:
    arguments: Sequence[str] = ()
    options: Mapping[str, object] = field(default_factory=dict)

    def fill(self, site: Site, events: int) -> str:
        """One `apply_async` for each event, by the same code that a producer would run."""
        url = site.sqs.client().create_queue(QueueName="bench-stock")["QueueUrl"]
        environment = self._environment(site, url)
        task = "put_record" if site.stream else "keep_in_memory"
        sender = site.processes.start(
            "sender",
            [sys.executable, "-m", "bench.baselines.stock_sender", task, str(events)],
            site.cores,
            environment,
        )
        if sender.process.wait():
            raise RuntimeError(sender.last_words())
        return url

    def start(self, site: Site) -> Child:
        """`celery worker`, on the queue that was filled."""
        url = site.sqs.client().get_queue_url(QueueName="bench-stock")["QueueUrl"]
        return site.processes.start(
            "worker-stock",
            [
                *(sys.executable, "-m", "celery", "-A", "bench.baselines.stock_events:app"),
                *("worker", "--loglevel", "WARNING", "--without-gossip", "--without-mingle"),
                *self.arguments,
            ],
            site.cores,
            self._environment(site, url),
        )

    def _environment(self, site: Site, url: str) -> dict[str, str]:
        return {
            **site.environment(),
            "BENCH_STOCK_QUEUE_URL": url,
            "BENCH_STOCK_OPTIONS": json.dumps(self.options),
            "BENCH_STREAM": site.stream,
        }


def _fill_ours(site: Site, events: int) -> str:
    client = site.sqs.client()
    queues.create_all(client)
    url = client.get_queue_url(QueueName=sqs_name(packed.QUEUE))["QueueUrl"]
    packed.send(client, url, events)
    return url


def _start_ours(site: Site) -> Child:
    effects = "kinesis" if site.stream else "memory"
    return start_group(Group(site.processes, site.cores, site.environment()), "streams", effects)


@dataclass(frozen=True, slots=True)
class Group:
    """Where our workers run and what they are told."""

    processes: Processes
    cores: frozenset[int]
    environment: Mapping[str, str]


def start_group(where: Group, name: str, effects: str) -> Child:
    """A group of our workers whose effects the bench sees."""
    settings = {
        "MANGAASSIST_METRICS_PORT": str(free_port()),
        "MANGAASSIST_LOG_LEVEL": "WARNING",
    }
    arguments = [sys.executable, "-m", "bench.our_worker", name, effects]
    environment = {**where.environment, **settings}
    return where.processes.start(f"worker-{name}", arguments, where.cores, environment)


def _stock(name: str, *, arguments: Sequence[str], options: Mapping[str, object]) -> Consumer:
    stock = _Stock(arguments, options)
    return Consumer(name, "", stock.fill, stock.start)


CONSUMERS: Mapping[str, Consumer] = {
    consumer.name: consumer
    for consumer in (
        Consumer(OURS, "-analytics", _fill_ours, _start_ours),
        _stock(STOCK_BEST, arguments=_THREADS, options=_TUNED),
        _stock(STOCK_PREFORK, arguments=_PREFORK, options=_TUNED),
        _stock(STOCK_DEFAULTS, arguments=(), options={}),
    )
}
