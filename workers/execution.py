"""Runs one pack: decodes it, calls the task, parks what can never succeed, and measures.

The runner around every task. Knows no broker: `workers/app.py` turns an ending into what Celery and
SQS understand. A pack with jobs that may still succeed is redelivered as a whole; effects and
parking are idempotent.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from config.failpoints import Failpoint, reach
from config.queues import declared
from domain.errors import MangaAssistError, Permanent, Transient
from domain.jobs import Job
from domain.parking import Parked
from domain.ports import Failure, Ports
from domain.tracing import Span
from workers.isolating import Failed, Perform, perform_each
from workers.setting_aside import Delivery, Opened, opened, parked_bytes, parked_job
from workers.tracing import performed, performing

__all__ = ["Delivery", "Ending", "Outcome", "Perform", "Verdict", "execute"]

logger = logging.getLogger(__name__)


class Outcome(StrEnum):
    """How a pack or a job ended; the label of its metrics."""

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


@dataclass(frozen=True, slots=True)
class Ending:
    """What is to become of the message, and the dependency that did not answer, if it was one."""

    verdict: Verdict
    down: str = ""


@dataclass(frozen=True, slots=True)
class _Result:
    """What became of the jobs of a pack; `unparked` says why parking failed, if it did."""

    opened: Opened
    failed: Sequence[Failed]
    unparked: MangaAssistError | None = None

    @property
    def again(self) -> Sequence[Failed]:
        """The jobs that may still succeed."""
        return [one for one in self.failed if not isinstance(one.error, Permanent)]


def execute(perform: Perform, pack: bytes, delivery: Delivery, ports: Ports) -> Ending:
    """Perform the jobs of a pack; never raises."""
    started = ports.clock()
    if delivery.receives > 1:
        ports.metrics.count("task_retries_total", task=delivery.kind)
    found = opened(pack, delivery.kind)
    _observe_ages(found.jobs, delivery, ports, started)
    span = performing(found.jobs, delivery, ports.traces)
    reach(Failpoint.WORKER_BEFORE_EFFECT)
    failed = perform_each(perform, found.jobs, ports)
    reach(Failpoint.WORKER_AFTER_EFFECT)
    unparked = _park(_for_parking(found, failed, delivery, ports.clock()), ports)
    result = _Result(found, failed, unparked)
    ending = _ending(result)
    counts = _outcomes(result)
    _report(result, counts, delivery, ports, ports.clock() - started)
    if span is not None:
        _end(span, result, counts, delivery, ending)
    if ending.verdict is Verdict.REDELIVER and _is_last_receive(delivery):
        ports.failures.note(delivery.message_id, Failure(ports.clock(), _line(result)))
    return ending


def _for_parking(
    found: Opened, failed: Sequence[Failed], delivery: Delivery, now: float
) -> list[Parked]:
    return [
        *(parked_bytes(one, delivery, now) for one in found.undecodable),
        *(
            parked_job(one.job, str(one.error), delivery, now)
            for one in failed
            if isinstance(one.error, Permanent)
        ),
    ]


def _park(parked: Sequence[Parked], ports: Ports) -> MangaAssistError | None:
    """Set these aside; why not, where they were not all taken."""
    if not parked:
        return None
    try:
        left = ports.parking.park(parked)
    except MangaAssistError as error:
        return error
    reach(Failpoint.WORKER_AFTER_PARK)
    return Permanent(f"not parked: {next(iter(left.values()))}") if left else None


def _ending(result: _Result) -> Ending:
    if not result.again and result.unparked is None:
        return Ending(Verdict.ACKNOWLEDGE)
    return Ending(Verdict.REDELIVER, _down(result))


def _down(result: _Result) -> str:
    """The dependency that what may still succeed has met down, if it has met nothing else.

    Some jobs may be done, since an outage may begin or end within a pack, but no more than half:
    a key that is hot is no outage. Of several dependencies the one that was met most.
    """
    if isinstance(result.unparked, Transient):
        return result.unparked.dependency
    if len(result.failed) * 2 < len(result.opened.jobs):
        return ""
    errors = [one.error for one in result.again]
    transient = [error for error in errors if isinstance(error, Transient)]
    if len(transient) < len(errors):
        return ""
    named = Counter(error.dependency for error in transient if error.dependency)
    return named.most_common(1)[0][0] if named else ""


def _is_last_receive(delivery: Delivery) -> bool:
    row = declared().queues.get(delivery.queue)
    return row is not None and delivery.receives >= row.max_receives


def _observe_ages(jobs: Sequence[Job], delivery: Delivery, ports: Ports, now: float) -> None:
    for job in jobs:
        ports.metrics.observe("event_age_seconds", now - job.occurred_at, task=delivery.kind)
    if jobs:
        oldest = min(job.occurred_at for job in jobs)
        ports.metrics.set("queue_oldest_seconds", now - oldest, queue=delivery.queue)


def _report(
    result: _Result, counts: Counter[Outcome], delivery: Delivery, ports: Ports, seconds: float
) -> None:
    task = delivery.kind
    outcome = _outcome(counts)
    ports.metrics.observe("task_seconds", seconds, task=task, outcome=outcome.value)
    for each, jobs in counts.items():
        ports.metrics.count("task_jobs_total", jobs, task=task, outcome=each.value)
    reason = _line(result)
    logger.log(
        logging.INFO if outcome is Outcome.DONE else logging.WARNING,
        "task=%s outcome=%s jobs=%d failed=%d seconds=%.4f receives=%d message=%s%s",
        task,
        outcome,
        counts.total(),
        counts.total() - counts[Outcome.DONE],
        seconds,
        delivery.receives,
        delivery.message_id,
        f" reason={reason!r}" if reason else "",
    )


def _end(
    span: Span, result: _Result, counts: Counter[Outcome], delivery: Delivery, ending: Ending
) -> None:
    outcome = _outcome(counts)
    errors = [result.unparked, *(one.error for one in (*result.again, *result.failed))]
    classes = [type(error).__name__ for error in errors if error is not None]
    performed(
        span,
        delivery,
        outcome.value,
        jobs=counts.total(),
        failed=counts.total() - counts[Outcome.DONE],
        failure="" if outcome is Outcome.DONE else (*classes, outcome.value)[0],
        down=ending.down,
    )


def _outcomes(result: _Result) -> Counter[Outcome]:
    """How many jobs ended in each way; a pack that can't be split counts as one."""
    counts = Counter({Outcome.DONE: len(result.opened.jobs) - len(result.failed)})
    counts[Outcome.MALFORMED] = len(result.opened.undecodable)
    counts.update(_outcome_of(one.error) for one in result.failed)
    return +counts


def _outcome_of(error: MangaAssistError) -> Outcome:
    if isinstance(error, Transient):
        return Outcome.TRANSIENT
    return Outcome.PERMANENT if isinstance(error, Permanent) else Outcome.UNEXPECTED


def _outcome(counts: Counter[Outcome]) -> Outcome:
    """The pack's own: that of its jobs where they all ended alike."""
    if len(counts) == 1:
        return next(iter(counts))
    return Outcome.PARTLY_FAILED if counts else Outcome.DONE


def _line(result: _Result) -> str:
    """Why the pack was not done, in words that quote nothing of it."""
    whys = [
        *([f"parking: {result.unparked}"] if result.unparked else []),
        *(str(one.error) for one in (*result.again, *result.failed)),
        *(one.detail for one in result.opened.undecodable),
    ]
    count = len(result.failed) + len(result.opened.undecodable)
    jobs = len(result.opened.jobs) + len(result.opened.undecodable)
    return f"{count} of {jobs} failed: {whys[0]}" if whys else ""
