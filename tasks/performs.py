"""Registers the functions that do the work, by the kind of their jobs. Knows no broker.

A task takes the jobs of one pack and the ports of its process. It raises PartlyFailed, Transient or
Permanent; its effects are idempotent, so that a pack may come again as a whole.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from types import MappingProxyType
from typing import Any, TypeVar

from domain.errors import MangaAssistError, PartlyFailed
from domain.jobs import Job
from domain.ports import Ports

J = TypeVar("J", bound=Job)

PackFunction = Callable[[Sequence[J], Ports], None]
JobFunction = Callable[[J, Ports], None]


@dataclass(frozen=True, slots=True)
class Task:
    """What performs the jobs of one kind."""

    job_type: type[Job]
    function: Callable[[Sequence[Any], Ports], None]


_tasks: dict[str, Task] = {}

REGISTERED: Mapping[str, Task] = MappingProxyType(_tasks)
"""Every task by its kind, once its module is imported; `tasks/table.py` imports all of them."""


def performs(job_type: type[J]) -> Callable[[PackFunction[J]], PackFunction[J]]:
    """Register the decorated function for the kind of these jobs, and leave it as it is."""

    def register(function: PackFunction[J]) -> PackFunction[J]:
        if job_type.kind in _tasks:
            raise ValueError(f"two functions perform {job_type.kind}")
        _tasks[job_type.kind] = Task(job_type, function)
        return function

    return register


def each(function: JobFunction[J]) -> PackFunction[J]:
    """Make a function of one job one of a pack: all are tried, the failures told together."""

    @wraps(function)
    def perform(jobs: Sequence[J], ports: Ports) -> None:
        reasons: dict[str, MangaAssistError] = {}
        for job in jobs:
            try:
                function(job, ports)
            except MangaAssistError as error:
                reasons[job.event_id] = error
        if reasons:
            raise PartlyFailed(reasons)

    return perform


def unless_taken(left: Mapping[str, str], error: Callable[[str], MangaAssistError]) -> None:
    """Raise PartlyFailed for the event ids that a service has not taken, if there are any.

    `error` makes the error of one from the reason that the service gave.
    """
    if left:
        raise PartlyFailed({event_id: error(reason) for event_id, reason in left.items()})
