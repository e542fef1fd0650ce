"""A job that fails does not stop the others of its pack, whatever it raises."""

import logging
from collections.abc import Callable, Sequence
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import MangaAssistError, PartlyFailed, Permanent, Transient
from domain.jobs import Job
from domain.ports import Ports
from tests import logs
from tests.samples import audit
from workers.isolating import MAX_ALONE, Unexpected, perform_each

PORTS = cast("Ports", None)


class Performing:
    """A task that raises as a whole when one of the named jobs is in its pack."""

    def __init__(self, *poison: str, error: Callable[[], Exception] = RuntimeError) -> None:
        self.done: list[str] = []
        self.calls = 0
        self._poison = set(poison)
        self._error = error

    def __call__(self, jobs: Sequence[Job], _ports: Ports) -> None:
        self.calls += 1
        if any(job.event_id in self._poison for job in jobs):
            raise self._error()
        self.done += [job.event_id for job in jobs]


def jobs(count: int) -> list[Job]:
    return [audit(f"e{at}") for at in range(count)]


def failures(task: Performing, count: int) -> dict[str, type[MangaAssistError]]:
    return {one.job.event_id: type(one.error) for one in perform_each(task, jobs(count), PORTS)}


@given(st.integers(0, 60), st.sets(st.integers(0, 59), max_size=4))
def test_only_the_jobs_at_fault_fail(count: int, poison: set[int]) -> None:
    task = Performing(*(f"e{at}" for at in poison))
    expected = {f"e{at}" for at in poison if at < count}
    logging.disable()
    try:
        assert set(failures(task, count)) == expected
    finally:
        logging.disable(logging.NOTSET)
    assert sorted(task.done) == sorted({f"e{at}" for at in range(count)} - expected)


def test_a_pack_refused_as_a_whole_is_halved_until_the_refused_job_is_alone() -> None:
    task = Performing("e3", error=lambda: Permanent("no such field"))
    assert failures(task, 8) == {"e3": Permanent}
    assert len(task.done) == 7


def test_an_unexpected_error_is_ours_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    assert failures(Performing("e1", "e5"), 8) == {"e1": Unexpected, "e5": Unexpected}
    assert len([one for one in logs.here(caplog) if one.exc_info]) == 1


def test_nothing_more_is_tried_once_a_dependency_is_down() -> None:
    task = Performing("e0", error=lambda: Transient("down", dependency="redis"))
    assert failures(task, 500) == dict.fromkeys((f"e{at}" for at in range(500)), Transient)
    assert task.calls == 1


def test_a_task_that_fails_for_every_job_is_not_called_for_each_of_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    task = Performing(*(f"e{at}" for at in range(2000)))
    assert len(failures(task, 2000)) == 2000
    assert task.calls < 3 * MAX_ALONE + 2 * 11
    assert len(logs.here(caplog)) == 1


def test_a_task_that_names_its_failures_is_called_once() -> None:
    reasons = {"e1": Permanent("no"), "e2": Transient("later")}
    task = Performing("e0", error=lambda: PartlyFailed(reasons))
    assert failures(task, 4) == {"e1": Permanent, "e2": Transient}
    assert task.calls == 1


def test_a_task_that_names_no_job_of_its_pack_has_done_none_for_sure() -> None:
    task = Performing("e0", error=lambda: PartlyFailed({"other": Permanent("no")}))
    assert failures(task, 2) == {"e0": Unexpected, "e1": Unexpected}
