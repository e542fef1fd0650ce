"""The queues and the groups of workers, as `queues.toml` declares them."""

from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from config import tables
from config.tables import require

Positive = Annotated[int, Meta(gt=0)]
NotNegative = Annotated[int, Meta(ge=0)]

MAX_BODY_BYTES = 256 * 1024
MAX_BATCH_BYTES = 256 * 1024
"""For one message, and for all those of one request. AWS takes 1 MiB, other servers still this."""

MAX_BATCH_MESSAGES = 10
"""What SQS gives or takes in one request."""

MAX_QUEUES_OF_A_WORKER = 8
"""Beyond this, curl handles are shared and a queue waits for another one's long poll."""


class Queue(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One queue with its dead letters; limits are those of SQS."""

    jobs: tuple[str, ...]
    group: str
    visibility_seconds: Annotated[int, Meta(ge=1, le=43_200)]
    max_receives: Annotated[int, Meta(ge=1, le=1000)]
    backoff_base_seconds: Positive
    backoff_cap_seconds: Annotated[int, Meta(gt=0, le=43_200)]
    pack_jobs: Annotated[int, Meta(ge=1, le=10_000)]
    linger_ms: Annotated[int, Meta(ge=0, le=100)]
    receive_pause_ms: Annotated[int, Meta(ge=0, le=5000)]
    retention_days: Annotated[int, Meta(ge=1, le=14)]
    dead_letter_retention_days: Annotated[int, Meta(ge=1, le=14)]


class Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One group of workers: what pool, how many at once, and where Prometheus scrapes it."""

    pool: Literal["threads", "prefork", "solo"]
    concurrency: Positive
    metrics_port: Annotated[int, Meta(ge=1, le=65_535)]


class Retries(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How workers space out what failed."""

    budget: Annotated[float, Meta(gt=0, le=1)]
    burst: Positive
    pause_after_failures: Positive
    pause_base_seconds: Positive
    pause_cap_seconds: Annotated[int, Meta(gt=0, le=60)]


class DeadLetterRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the scheduled retry of dead letters may do."""

    per_run: Positive
    per_second: Positive
    parts: Annotated[int, Meta(ge=2, le=MAX_BATCH_MESSAGES)]
    max_replays: Annotated[int, Meta(ge=0, le=10)]
    wait_seconds: Positive
    wait_factor: Positive
    parked_days: Annotated[int, Meta(ge=14)]


class Queues(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """Every queue and group, with the look-ups that the processes need."""

    queues: dict[str, Queue]
    groups: dict[str, Group]
    retries: Retries
    dead_letters: DeadLetterRules

    def of_group(self, group: str) -> dict[str, Queue]:
        """The queues that a group consumes."""
        return {name: queue for name, queue in self.queues.items() if queue.group == group}

    def of_job(self, kind: str) -> str:
        """The queue that a kind of job travels through; raises KeyError for an unknown kind."""
        return self.queue_by_kind[kind]

    @cached_property
    def queue_by_kind(self) -> Mapping[str, str]:
        """The queue of every kind of job."""
        return {kind: name for name, queue in self.queues.items() for kind in queue.jobs}


def sqs_name(queue: str) -> str:
    """The name of a queue in SQS."""
    return f"mangaassist-{queue}"


def dead_letter_name(queue: str) -> str:
    """The name of a queue's dead-letter queue in SQS."""
    return f"mangaassist-{queue}-dlq"


def load(directory: Path | None = None) -> Queues:
    """The checked table; raises ConfigError."""
    table = tables.read("queues", Queues, *([directory] if directory else []))
    for name, queue in table.queues.items():
        _check_queue(table, name, queue)
    _check_kinds(table)
    for group in table.groups:
        count = len(table.of_group(group))
        where = f"queues.toml: groups.{group}"
        require(count > 0, where, "consumes no queue")
        require(count <= MAX_QUEUES_OF_A_WORKER, where, f"consumes {count} queues, at most 8")
    return table


@cache
def declared() -> Queues:
    """The table that the project ships."""
    return load()


def _check_queue(table: Queues, name: str, queue: Queue) -> None:
    where = f"queues.toml: queues.{name}"
    require(queue.group in table.groups, where, f"unknown group {queue.group!r}")
    require(
        queue.backoff_cap_seconds >= queue.backoff_base_seconds,
        where,
        "backoff_cap_seconds is below backoff_base_seconds",
    )
    require(
        queue.dead_letter_retention_days > queue.retention_days,
        where,
        "dead letters must be kept longer than messages, since their clock is not restarted",
    )


def _check_kinds(table: Queues) -> None:
    seen: dict[str, str] = {}
    for name, queue in table.queues.items():
        for kind in queue.jobs:
            require(
                kind not in seen,
                f"queues.toml: queues.{name}",
                f"job {kind!r} is already on the queue {seen.get(kind)!r}",
            )
            seen[kind] = name
