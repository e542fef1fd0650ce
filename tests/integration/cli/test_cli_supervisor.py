"""The supervisor over real processes that do nothing but live and die."""

import asyncio
import os
import select
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cli.children import Child, Spec
from cli.deaths import Deaths
from cli.failures import Failure
from cli.supervisor import Supervisor

LIVE = "import signal; signal.pause()"
STUBBORN = """
import signal
signal.signal(signal.SIGTERM, lambda *_: None)
tell("up")
while True:
    signal.pause()
"""
FORKS = f"""
import subprocess, sys
tell(subprocess.Popen([sys.executable, "-S", "-c", {LIVE!r}]).pid)
{LIVE}
"""
WRITES_AT_ITS_END = """
import signal, sys
def end(*_):
    with open("order", "a") as log:
        log.write(NAME + " ")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
tell("up")
signal.pause()
"""
LIMIT_SECONDS = 90.0


class Stage:
    """A supervisor, what it said, and who was restarted."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.said: list[str] = []
        self.restarts: asyncio.Queue[str] = asyncio.Queue()
        self.supervisor = Supervisor(self.said.append, self._restarted, Deaths())
        self.hurry = asyncio.Event()

    async def _restarted(self, child: Child) -> None:
        await self.restarts.put(child.spec.name)

    def start(self, name: str, code: str, stage: int = 0, seconds: float = 60.0) -> Child:
        spec = Spec(
            name=name,
            command=[sys.executable, "-S", "-c", _preface(name) + code],
            environment=os.environ,
            port=1,
            stop_stage=stage,
            stop_seconds=seconds,
        )
        os.mkfifo(self.directory / name)
        child = Child(spec, self.directory / f"{name}.log", self.directory)
        self.supervisor.start(child)
        return child

    async def told(self, name: str) -> str:
        """What a child tells; waits until it does."""
        return await asyncio.to_thread((self.directory / name).read_text)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.hurry.set()
    await stage.supervisor.stop(stage.hurry)


async def test_a_killed_child_is_started_again_and_that_is_said(stage: Stage) -> None:
    child = stage.start("worker", LIVE)
    first = child.pid
    assert first is not None
    async with asyncio.timeout(LIMIT_SECONDS), _watching(stage):
        os.kill(first, signal.SIGKILL)
        assert await stage.restarts.get() == "worker"
    assert child.pid != first
    assert child.ended() is None
    assert stage.said[0] == f"worker (pid {first}) ended: SIGKILL; starting it again"
    assert stage.said[1] == f"worker is running again, pid {child.pid}"


async def test_a_child_that_cannot_start_ends_a_stack_that_was_never_ready(stage: Stage) -> None:
    stage.start("serving", "import sys; sys.stderr.write('no such setting'); sys.exit(2)")
    async with asyncio.timeout(LIMIT_SECONDS):
        with pytest.raises(Failure, match=r"serving .*exit code 2.*no such setting"):
            await stage.supervisor.watch()


async def test_a_child_that_cannot_start_does_not_end_a_stack_that_was_ready(stage: Stage) -> None:
    stage.supervisor.is_ready = True
    stage.start("serving", "import sys; sys.exit(2)")
    async with asyncio.timeout(LIMIT_SECONDS), _watching(stage):
        for _ in range(3):
            await stage.restarts.get()


async def test_children_stop_stage_by_stage(stage: Stage, tmp_path: Path) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        for name, number in (("last", 3), ("first", 1), ("middle", 2)):
            stage.start(name, WRITES_AT_ITS_END, number)
            await stage.told(name)
        await stage.supervisor.stop(stage.hurry)
    assert (tmp_path / "order").read_text().split() == ["first", "middle", "last"]


async def test_a_stubborn_child_is_killed_when_its_time_is_over(stage: Stage) -> None:
    child = stage.start("worker", STUBBORN, seconds=0.2)
    async with asyncio.timeout(LIMIT_SECONDS):
        await stage.told("worker")
        await stage.supervisor.stop(stage.hurry)
    assert child.ended() == -signal.SIGKILL
    assert stage.said == ["worker did not end within 0.2 s: it is killed"]


async def test_who_hurries_waits_for_nobody(stage: Stage) -> None:
    child = stage.start("worker", STUBBORN, seconds=3600)
    async with asyncio.timeout(LIMIT_SECONDS):
        await stage.told("worker")
        stopping = asyncio.create_task(stage.supervisor.stop(stage.hurry))
        stage.hurry.set()
        await stopping
    assert child.ended() == -signal.SIGKILL


async def test_what_a_child_started_ends_with_it(stage: Stage) -> None:
    stage.start("forks", FORKS)
    async with asyncio.timeout(LIMIT_SECONDS):
        grandchild = os.pidfd_open(int(await stage.told("forks")))
        await stage.supervisor.stop(stage.hurry)
    ended, _, _ = select.select([grandchild], [], [], LIMIT_SECONDS)
    os.close(grandchild)
    assert ended


def _preface(name: str) -> str:
    return f"""
NAME = {name!r}
def tell(what):
    with open(NAME, "w") as fifo:
        fifo.write(str(what))
"""


@asynccontextmanager
async def _watching(stage: Stage) -> AsyncIterator[None]:
    task = asyncio.create_task(stage.supervisor.watch())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
