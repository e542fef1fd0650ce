"""Runs one pack: decodes it, calls the task, measures, and says what is to become of the message.

The runner around every task. Knows no broker: `workers/app.py` turns a verdict into what Celery and
SQS understand. A pack that failed in part is redelivered as a whole; effects are idempotent.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from adapters.msgpack_wire import decode_pack
from domain.errors import Malformed, PartlyFailed, Permanent, Transient
from domain.jobs import Job
from domain.ports import Ports

logger = logging.getLogger(__name__)

Perform = Callable[[Sequence[Job], Ports], None]


class Outcome(StrEnum):
    """How a pack ended; the label of its metrics."""

    DONE = "done"
    PARTLY_FAILED = "partly_failed"
    TRANSIENT = "transient"
    PERMANENT = "permanent"
    MALFORMED = "malformed"
    UNEXPECTED = "unexpected"


class Verdict(StrEnum):
    """What is to become of the message."""

    ACKNOWLEDGE = "acknowledge"
    REDELIVER = "redeliver"
    """SQS gives it out again after a pause, and to the dead letters after max_receives."""
    PARK = "park"
    """It can never succeed. Until there is a place for such jobs, it is redelivered as well."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a pack came."""

    kind: str
    message_id: str
    queue: str
    receives: int


@dataclass(frozen=True, slots=True)
class _Result:
    outcome: Outcome
    failed: int = 0
    reason: str = ""


def execute(perform: Perform, pack: bytes, delivery: Delivery, ports: Ports) -> Verdict:
    """Perform the jobs of a pack; never raises."""
    started = ports.clock()
    if delivery.receives > 1:
        ports.metrics.count("task_retries_total", task=delivery.kind)
    jobs: Sequence[Job] = ()
    try:
        jobs = _decode(pack, delivery.kind)
    except Malformed as error:
        result = _Result(Outcome.MALFORMED, reason=str(error))
    else:
        _observe_ages(jobs, delivery, ports, started)
        result = _perform(perform, jobs, ports)
    _report(result, delivery, len(jobs), ports, ports.clock() - started)
    return _verdict(result.outcome)


def _decode(pack: bytes, kind: str) -> Sequence[Job]:
    jobs = decode_pack(pack)
    for job in jobs:
        if job.kind != kind:
            raise Malformed(f"a {job.kind} job in a pack of {kind}")
    return jobs


def _perform(perform: Perform, jobs: Sequence[Job], ports: Ports) -> _Result:
    try:
        perform(jobs, ports)
    except PartlyFailed as error:
        outcome = Outcome.PERMANENT if error.permanent else Outcome.PARTLY_FAILED
        return _Result(outcome, len(error.reasons), str(error))
    except Transient as error:
        return _Result(Outcome.TRANSIENT, len(jobs), str(error))
    except Permanent as error:
        return _Result(Outcome.PERMANENT, len(jobs), str(error))
    except Exception as error:
        # The edge of a task: a fault of ours must cost one message's time, not a worker.
        logger.exception("a task failed in an unexpected way")
        return _Result(Outcome.UNEXPECTED, len(jobs), type(error).__name__)
    return _Result(Outcome.DONE)


def _observe_ages(jobs: Sequence[Job], delivery: Delivery, ports: Ports, now: float) -> None:
    for job in jobs:
        ports.metrics.observe("event_age_seconds", now - job.occurred_at, task=delivery.kind)
    if jobs:
        oldest = min(job.occurred_at for job in jobs)
        ports.metrics.set("queue_oldest_seconds", now - oldest, queue=delivery.queue)


def _report(result: _Result, delivery: Delivery, jobs: int, ports: Ports, seconds: float) -> None:
    task = delivery.kind
    ports.metrics.observe("task_seconds", seconds, task=task, outcome=result.outcome.value)
    done = jobs - result.failed
    if done:
        ports.metrics.count("task_jobs_total", done, task=task, outcome=Outcome.DONE.value)
    if result.failed:
        ports.metrics.count(
            "task_jobs_total", result.failed, task=task, outcome=result.outcome.value
        )
    logger.log(
        logging.INFO if result.outcome is Outcome.DONE else logging.WARNING,
        "task=%s outcome=%s jobs=%d failed=%d seconds=%.4f receives=%d message=%s%s",
        task,
        result.outcome,
        jobs,
        result.failed,
        seconds,
        delivery.receives,
        delivery.message_id,
        f" reason={result.reason!r}" if result.reason else "",
    )


def _verdict(outcome: Outcome) -> Verdict:
    if outcome is Outcome.DONE:
        return Verdict.ACKNOWLEDGE
    if outcome in {Outcome.PERMANENT, Outcome.MALFORMED}:
        return Verdict.PARK
    return Verdict.REDELIVER
