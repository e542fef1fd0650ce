"""`mangaassist dlq park` and `export`: a dead letter put aside by hand, and all in a file."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from cli import dlq_documents as documents
from cli import output, progress
from cli.dlq_places import Places, places, queues_named
from cli.failures import FAILED, Failure
from domain.errors import MangaAssistError
from workers import dead_letters, parked_jobs
from workers.dead_letters import Choice

PRIVATE = 0o600


def park(one_id: str, why: str, data_dir: Path | None, *, dry_run: bool, as_json: bool) -> None:
    """Put a dead letter aside; raises Failure where there is no such."""
    if not why.strip():
        raise Failure("say why, for whoever finds it parked")
    found = places(data_dir)
    if found.parking.get(one_id) is not None:
        raise Failure(f"{one_id!r} is parked already")
    queue = _queue_of(found, one_id)
    if queue is None:
        raise Failure(f"no dead-letter queue shows the message {one_id!r}")
    ids = [] if dry_run else _park(found, queue, one_id, why.strip())
    if as_json:
        output.document({"id": one_id, "queue": queue, "parked": ids, "dry_run": dry_run})
    else:
        output.line(f"{one_id} would be parked" if dry_run else f"parked as {', '.join(ids)}")


def _park(found: Places, queue: str, one_id: str, why: str) -> list[str]:
    try:
        parked = parked_jobs.park(found.letters, found.parking, [queue], one_id, why)
    except MangaAssistError as error:
        raise Failure(str(error), FAILED) from error
    if not parked:
        raise Failure(f"somebody else is looking at {one_id!r}; try again in a minute", FAILED)
    return [one.id for one in parked]


def export(
    file: Path,
    queue: str | None,
    data_dir: Path | None,
    *,
    force: bool,
    redact: bool,
    as_json: bool,
) -> None:
    """Write all of them to a file that only its owner may read; raises Failure for one that is
    there."""
    names = queues_named(queue)
    if file.exists() and not force:
        raise Failure(f"{file} is there already; --force replaces it")
    found = places(data_dir)
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        count = _write(partial, _each(found, names), redact=redact)
        if force:
            partial.replace(file)
        else:
            file.hardlink_to(partial)  # fails where somebody else has made one meanwhile
    except OSError as error:
        raise Failure(f"{file} can't be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            partial.unlink()
    if as_json:
        output.document({"file": str(file), "exported": count, "redacted": redact})
    else:
        output.line(f"written to {file}: {count}")
    if count and not redact:
        output.warn(f"{file} holds what customers sent; --redact leaves it out")


def _write(file: Path, found: Iterator[documents.Document], *, redact: bool) -> int:
    count = 0
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as to, progress.shown(file.name) as advance:
        for document in found:
            shown = documents.hidden(document) if redact else document
            to.write(json.dumps(shown, ensure_ascii=False) + "\n")
            count += 1
            if advance is not None:
                advance(count, None)
        to.flush()
        os.fsync(to.fileno())
    return count


def _each(found: Places, names: Sequence[str]) -> Iterator[documents.Document]:
    for name in names:
        yield from map(documents.letter, dead_letters.each(found.letters, name))
    now = time.time()
    for one in parked_jobs.chosen(found.parking, Choice(queues=names)):
        yield documents.parked(one, now)


def _queue_of(found: Places, one_id: str) -> str | None:
    names = queues_named(None)
    with ThreadPoolExecutor(len(names)) as threads:
        details = threads.map(
            lambda name: dead_letters.detail(found.letters, [name], one_id), names
        )
        return next((detail.row.queue for detail in details if detail is not None), None)
