"""Performs the jobs of a pack so that one that fails does not stop the others.

A task says itself which jobs failed, with PartlyFailed. Where it fails as a whole, its pack is
halved until the jobs at fault are alone. Knows no message and no queue.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat

from domain.errors import MangaAssistError, PartlyFailed, Transient
from domain.jobs import Job
from domain.ports import Ports

logger = logging.getLogger(__name__)

Perform = Callable[[Sequence[Job], Ports], None]

MAX_ALONE = 64
"""So many jobs of a pack are found out one by one; what fails beyond that comes again."""


class Unexpected(MangaAssistError):  # noqa: N818 - read as an adjective
    """A task raised what no task should: it is a fault of ours and may be mended."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A job that was not performed, and why."""

    job: Job
    error: MangaAssistError


def perform_each(perform: Perform, jobs: Sequence[Job], ports: Ports) -> list[Failed]:
    """The jobs that failed; all others are done. Never raises."""
    return list(_Attempt(perform, ports).of(jobs))


@dataclass(slots=True)
class _Attempt:
    """One pack; `stopped` is why the rest of it is not tried."""

    perform: Perform
    ports: Ports
    alone: int = 0
    stopped: MangaAssistError | None = field(default=None)

    def of(self, jobs: Sequence[Job]) -> Iterator[Failed]:
        """Perform these jobs; those that failed."""
        if not jobs:
            return
        error = self.stopped or self._error(jobs)
        if error is None:
            return
        if isinstance(error, PartlyFailed):
            yield from _named(jobs, error)
        elif self.stopped or isinstance(error, Transient):
            # What a dependency does not take from some it takes from none.
            self.stopped = error
            yield from map(Failed, jobs, repeat(error))
        elif len(jobs) == 1:
            yield Failed(jobs[0], self._found(error))
        else:
            middle = len(jobs) // 2
            yield from self.of(jobs[:middle])
            yield from self.of(jobs[middle:])

    def _error(self, jobs: Sequence[Job]) -> MangaAssistError | None:
        try:
            self.perform(jobs, self.ports)
        except MangaAssistError as error:
            return error
        except Exception as error:
            # The edge of a task: a fault of ours must cost one message's time, not a worker.
            if len(jobs) == 1 and self.alone == 0:
                logger.exception("a task failed in an unexpected way")
            return Unexpected(type(error).__name__)
        return None

    def _found(self, error: MangaAssistError) -> MangaAssistError:
        """Count one that is at fault; when there are too many, the others wait."""
        self.alone += 1
        if self.alone >= MAX_ALONE:
            self.stopped = Unexpected(f"{self.alone} jobs of a pack have failed one by one")
        return error


def _named(jobs: Sequence[Job], error: PartlyFailed) -> Iterator[Failed]:
    """The jobs that the task names; where it names none of these, nothing is known of any."""
    named = [
        Failed(job, error.reasons[job.event_id]) for job in jobs if job.event_id in error.reasons
    ]
    yield from named or [Failed(job, Unexpected(str(error))) for job in jobs]
