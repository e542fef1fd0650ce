"""`mangaassist dlq`: what failed for good, one of them opened, and another try for them."""

import json
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import chain
from pathlib import Path

from adapters.aws_clients import AwsClients
from adapters.sqs_dead_letters import SqsDeadLetters
from adapters.sqs_queues import SqsQueues
from cli import output
from cli.failures import FAILED, Failure
from cli.target import aim
from config import queues
from domain.answers import rfc3339
from workers import dead_letters
from workers.dead_letters import Choice, Detail, Retried, Row


def list_rows(queue: str | None, limit: int, data_dir: Path | None, *, as_json: bool) -> None:
    """The dead letters, oldest first."""
    names = _queues(queue)
    aim(data_dir)
    letters = _letters()
    with ThreadPoolExecutor(len(names)) as threads:  # SQS makes us wait for every empty queue
        found = threads.map(lambda name: dead_letters.rows(letters, [name], limit), names)
        rows = sorted(chain.from_iterable(found), key=lambda row: row.first_seen)
    if as_json:
        output.document([_row(row) for row in rows])
        return
    headings = ["queue", "id", "kind", "jobs", "receives", "age"]
    output.table(headings, [_cells(row) for row in rows])


def show(message_id: str, data_dir: Path | None, *, as_json: bool) -> None:
    """One dead letter; raises Failure where no queue has it."""
    aim(data_dir)
    found = _find(message_id)
    if found is None:
        raise Failure(f"no dead-letter queue shows the message {message_id!r}")
    document = _detail(found)
    if as_json:
        output.document(document)
        return
    row = found.row
    output.line(f"{row.id}  {row.kind} on {row.queue}, received {row.receives} times")
    if found.reason:
        output.line(f"it cannot be read: {found.reason}")
    for job in found.jobs:
        output.line(json.dumps(asdict(job), ensure_ascii=False))


def retry(
    queue: str | None,
    ids: Sequence[str],
    per_second: float,
    data_dir: Path | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Send dead letters to their queues again; raises Failure for what did not go through."""
    choice = Choice(queues=_queues(queue), ids=frozenset(ids))
    aim(data_dir)
    progress = dead_letters.retry(_letters(), choice, dry_run=dry_run, per_second=per_second)
    done = next(iter(deque(progress, maxlen=1)), Retried())
    missing = sorted(choice.ids - {*done.sent, *done.refused})
    if as_json:
        output.document({**asdict(done), "missing": missing, "dry_run": dry_run})
    else:
        output.line(f"{len(done.sent)} {'would be' if dry_run else 'were'} sent again")
    for message_id, reason in done.left_in_both.items():
        output.warn(f"{message_id} is in both queues: it was sent, but not deleted ({reason})")
    if done.refused or missing:
        faults = [f"{message_id}: {reason}" for message_id, reason in done.refused.items()]
        faults += [f"{message_id}: no dead-letter queue shows it" for message_id in missing]
        raise Failure("not sent: " + "; ".join(faults), FAILED)


def _find(message_id: str) -> Detail | None:
    letters, names = _letters(), _queues(None)
    with ThreadPoolExecutor(len(names)) as threads:
        details = threads.map(lambda name: dead_letters.detail(letters, [name], message_id), names)
        return next(filter(None, details), None)


def _letters() -> SqsDeadLetters:
    aws = AwsClients()
    return SqsDeadLetters(aws, SqsQueues(aws))


def _queues(name: str | None) -> Sequence[str]:
    known = list(queues.declared().queues)
    if name is None:
        return known
    if name not in known:
        raise Failure(f"there is no queue {name!r}; there are {', '.join(known)}")
    return [name]


def _row(row: Row) -> dict[str, object]:
    return {
        "queue": row.queue,
        "id": row.id,
        "kind": row.kind,
        "jobs": row.jobs,
        "receives": row.receives,
        "first_seen": rfc3339(row.first_seen),
        "age_seconds": round(row.age_seconds, 3),
    }


def _detail(found: Detail) -> dict[str, object]:
    jobs = [{"kind": job.kind, **asdict(job)} for job in found.jobs]
    return {**_row(found.row), "reason": found.reason, "contents": jobs}


def _cells(row: Row) -> list[str]:
    return [
        row.queue,
        row.id,
        row.kind,
        str(row.jobs),
        str(row.receives),
        f"{row.age_seconds:.0f} s",
    ]
