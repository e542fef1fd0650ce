"""`mangaassist dlq`: what failed for good, one of them opened, and another try for them.

Dead letters lie in SQS, parked jobs in DynamoDB; an operator sees both.
"""

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import chain, islice
from pathlib import Path

from cli import dlq_documents as documents
from cli import output, progress
from cli.dlq_places import Places, places, queues_named
from cli.failures import FAILED, Failure
from workers import dead_letters, parked_jobs
from workers.dead_letters import Choice, Retried


def list_rows(queue: str | None, limit: int, data_dir: Path | None, *, as_json: bool) -> None:
    """The dead letters and the parked jobs, oldest first."""
    names = queues_named(queue)
    found = places(data_dir)
    with ThreadPoolExecutor(len(names)) as threads:  # SQS makes us wait for every empty queue
        letters = threads.map(lambda name: dead_letters.rows(found.letters, [name], limit), names)
        rows = [*map(documents.letter_row, chain.from_iterable(letters))]
    now = time.time()
    parked = islice(parked_jobs.chosen(found.parking, Choice(queues=names)), limit)
    rows += [documents.parked_row(one, now) for one in parked]
    rows.sort(key=lambda row: str(row["first_seen"]))
    if as_json:
        output.document(rows)
    elif not rows:
        output.line("nothing is dead or parked")
    else:
        output.table(documents.HEADINGS, [documents.cells(row) for row in rows])


def show(one_id: str, data_dir: Path | None, *, as_json: bool) -> None:
    """One of them; raises Failure where there is no such."""
    found = _find(places(data_dir), one_id)
    if found is None:
        raise Failure(f"no dead-letter queue shows the message {one_id!r}, and it is not parked")
    if as_json:
        output.document(found)
    else:
        for text in documents.lines(found):
            output.line(text)


def retry(
    queue: str | None,
    ids: Sequence[str],
    per_second: float,
    data_dir: Path | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Send them to their queues again; raises Failure for what did not go through."""
    choice = Choice(queues=queues_named(queue), ids=frozenset(ids))
    found = places(data_dir)
    # Letters first: the scheduled retry moves them to where we look next, and never back.
    letters = Retried()
    if not ids or choice.ids - {one.id for one in parked_jobs.chosen(found.parking, choice)}:
        letters = _last(
            dead_letters.retry(found.letters, choice, dry_run=dry_run, per_second=per_second)
        )
    parked = _last(
        parked_jobs.retry(found.parking, found.send, choice, dry_run=dry_run, per_second=per_second)
    )
    done = Retried(
        sent=letters.sent + parked.sent,
        refused=letters.refused | parked.refused,
        left_in_both=letters.left_in_both | parked.left_in_both,
    )
    missing = sorted(choice.ids - done.seen())
    if as_json:
        output.document({**asdict(done), "missing": missing, "dry_run": dry_run})
    else:
        output.line(f"{'would be ' if dry_run else ''}sent again: {len(done.sent)}")
    _tell_faults(done, missing)


def _tell_faults(done: Retried, missing: Sequence[str]) -> None:
    for one_id, reason in done.left_in_both.items():
        output.warn(f"{one_id} is in both places: it was sent, but not deleted ({reason})")
    if done.refused or missing:
        faults = [f"{one_id}: {reason}" for one_id, reason in done.refused.items()]
        faults += [
            f"{one_id}: no dead-letter queue shows it, and it is not parked" for one_id in missing
        ]
        raise Failure("not sent: " + "; ".join(faults), FAILED)


def _last(steps: Iterable[Retried]) -> Retried:
    """Go through the steps; what was done in the end."""
    with progress.shown("sending again") as advance:
        last = Retried()
        for last in steps:
            if advance is not None:
                advance(len(last.seen()), None)
        return last


def _find(found: Places, one_id: str) -> documents.Document | None:
    one = found.parking.get(one_id)
    if one is not None:
        return documents.parked(one, time.time())
    names = queues_named(None)
    with ThreadPoolExecutor(len(names)) as threads:
        details = threads.map(
            lambda name: dead_letters.detail(found.letters, [name], one_id), names
        )
        letter = next(filter(None, details), None)
    return documents.letter(letter) if letter is not None else None
