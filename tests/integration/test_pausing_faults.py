"""Real workers whose tasks need something that is down: none dies, and all is done after it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulators.app import EmulatorSettings
from emulators.runner import run_in_thread
from tests.integration.transport_stage import Clock, Stage, eventually

MAX_RECEIVES = 3


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    clock = Clock()
    with run_in_thread("sqs", settings=EmulatorSettings(clock=clock)) as emulator:
        yield Stage(emulator, tmp_path / "notes", clock)


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_queue_is_left_alone_while_what_it_needs_is_down(
    pool: str, stage: Stage, tmp_path: Path
) -> None:
    down = tmp_path / "down"
    down.touch()
    queue, other = stage.queue("needing", MAX_RECEIVES), stage.queue("other", MAX_RECEIVES)
    row: dict[str, Any] = {
        "backoff_base_seconds": 0.1,
        "backoff_cap_seconds": 1.0,
        "max_receives": MAX_RECEIVES,
    }
    names = [f"n{i}" for i in range(12)]
    # All before any is begun: one that is alone meets three failures with the receives it has.
    stage.send(queue, "test.needs", *names)
    with stage.worker(pool, 2, queue, other, down=down, **row) as worker:
        eventually(lambda: worker.logged("thing is down"), 20, "it does not pause")
        eventually(lambda: stage.count(queue) == len(names), 20, "what waited is not given back")
        begun = len(stage.noted("begun"))
        stage.send(other, "test.note", "meanwhile")
        eventually(lambda: "meanwhile" in stage.noted("done"), 20, "the other queue waits, too")
        before = stage.receives()
        eventually(lambda: stage.receives() >= before + 2, 20, "the other queue is not asked")
        assert len(stage.noted("begun")) == begun, "it goes on without what it needs"
        assert stage.count(queue + "-dlq") == 0
        down.unlink()
        eventually(lambda: set(names) <= set(stage.noted("done")), 20, "it does not go on")
        assert worker.logged("goes on, thing is back")
    assert stage.count(queue + "-dlq") == 0


@pytest.mark.parametrize("pool", ["threads", pytest.param("prefork", marks=pytest.mark.soak)])
def test_a_probe_that_is_wrong_costs_no_message(pool: str, stage: Stage, tmp_path: Path) -> None:
    """The thing answers whoever asks, and does nothing for any task."""
    down = tmp_path / "wrong-down"
    down.touch()
    queue = stage.queue("misled", MAX_RECEIVES)
    row: dict[str, Any] = {
        "backoff_base_seconds": 0.1,
        "backoff_cap_seconds": 0.2,
        "max_receives": MAX_RECEIVES,
    }
    with stage.worker(pool, 2, queue, down=down, **row):
        stage.send(queue, "test.needs", "n0", "n1")
        # Each is begun far more often than it may be received.
        eventually(lambda: len(stage.noted("begun")) > 6 * MAX_RECEIVES, 60, "it gives up")
        assert stage.count(queue + "-dlq") == 0
        down.unlink()
        eventually(lambda: {"n0", "n1"} <= set(stage.noted("done")), 20, "it does not go on")
    assert stage.count(queue + "-dlq") == 0


def test_a_stopping_worker_gives_back_what_it_kept(stage: Stage, tmp_path: Path) -> None:
    down = tmp_path / "down"
    down.touch()
    queue = stage.queue("stopping", max_receives=9)
    # All in one receive: nothing is on its way any more when the worker pauses.
    stage.send(queue, "test.needs", "k0", "k1", "k2")
    # The worker takes the first receive for the last one allowed.
    row: dict[str, Any] = {"max_receives": 1, "visibility_timeout": 3600}
    with stage.worker("threads", 3, queue, down=down, **row) as worker:
        eventually(lambda: worker.logged("thing is down"), 20, "it does not pause")
        assert stage.count(queue, hidden=True) == 3
        assert worker.stop() == 0
    # One that was under way just then is put off by a moment.
    eventually(lambda: stage.count(queue) == 3, 20, "it is not given back")
