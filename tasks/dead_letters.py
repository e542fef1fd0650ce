"""Sends dead letters to be tried again, splits packs, and parks what was tried often enough."""

import random
from collections.abc import Iterable, Sequence

from config.queues import declared
from domain.errors import MangaAssistError, Transient
from domain.jobs import RetryDeadLetters
from domain.ports import Ports
from tasks.performs import performs
from tasks.replaying import Run

STALE_SECONDS = 300.0
"""A tick that comes later has been overtaken by others."""


@performs(RetryDeadLetters)
def retry_dead_letters(jobs: Sequence[RetryDeadLetters], ports: Ports) -> None:
    """Look at every queue's dead letters once, however many ask for it."""
    now = ports.clock()
    if all(job.tick is not None and now - job.tick > STALE_SECONDS for job in jobs):
        ports.metrics.count("duplicates_total", len(jobs), kind=RetryDeadLetters.kind)
        return
    table = declared()
    # In another order each time, so that a queue with very many does not starve the others.
    queues = random.sample(list(table.queues), len(table.queues))
    retry_each(queues, Run(ports, table.dead_letters))
    ports.metrics.set("parked_events", ports.parking.count())


def retry_each(queues: Iterable[str], run: Run) -> None:
    """Give every queue its turn; one that fails does not cost the others theirs."""
    failures: list[MangaAssistError] = []
    for queue in queues:
        if run.is_over:
            break
        try:
            run.retry(queue)
        except MangaAssistError as error:
            failures.append(error)
    if failures:
        # Names no dependency: the queue that this job shares must not be paused over dead letters.
        raise Transient(f"some dead letters were not treated: {failures[0]}")
