"""Keeps the children of an embedded stack running, and ends them in order.

A child that dies is started again at its old port after a pause that grows. Knows nothing of what
the children do. One thread: everything happens on the event loop.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby

from cli import probes
from cli.children import Child, manner
from cli.deaths import Deaths
from cli.failures import FAILED, Failure
from cli.restarts import LONGEST_SECONDS, Restarts

Say = Callable[[str], None]
Restarted = Callable[[Child], Awaitable[None]]


class Supervisor:
    """The running children. `restarted` is awaited whenever one has been started again."""

    def __init__(self, say: Say, restarted: Restarted, deaths: Deaths) -> None:
        self._say = say
        self._restarted = restarted
        self._deaths = deaths
        self._children: dict[str, Child] = {}
        self._restarts: dict[str, Restarts] = {}
        self._restarting: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self.is_ready = False
        """Before that, a child that cannot start ends the stack."""

    @property
    def children(self) -> Sequence[Child]:
        """All of them, in the order of their start."""
        return tuple(self._children.values())

    def start(self, child: Child) -> None:
        """Start a child and keep it running."""
        self._children[child.spec.name] = child
        self._restarts[child.spec.name] = Restarts()
        child.start()

    async def watch(self) -> None:
        """Start again what dies; raises Failure where that is hopeless."""
        while not self._stopping:
            for task in [task for task in self._tasks if task.done()]:
                self._tasks.discard(task)
                task.result()
            for name, child in self._children.items():
                code = child.ended()
                if code is not None and name not in self._restarting:
                    self._revive(child, code)
            await self._deaths.next()

    async def stop(self, hurry: asyncio.Event) -> None:
        """End every child, stage by stage; at once when `hurry` is set."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        ordered = sorted(self._children.values(), key=_stage)
        for _, stage in groupby(ordered, key=_stage):
            await asyncio.gather(*(self._end(child, hurry) for child in stage))

    def _revive(self, child: Child, code: int) -> None:
        name, restarts = child.spec.name, self._restarts[child.spec.name]
        delay = restarts.delay_seconds(child.lived_seconds)
        if not self.is_ready and restarts.is_hopeless(code):
            raise Failure(
                f"{name} does not start ({manner(code)}): {child.last_words()} (log: {child.log})",
                FAILED,
            )
        self._say(f"{name} (pid {child.pid}) ended: {manner(code)}; starting it again")
        child.kill_group()
        self._restarting.add(name)
        task = asyncio.create_task(self._start_again(child, delay))
        task.add_done_callback(lambda _: self._deaths.tell())
        self._tasks.add(task)

    async def _start_again(self, child: Child, delay: float) -> None:
        await asyncio.sleep(delay)
        try:
            child.start()
        except OSError as error:  # no memory or process to be had, for the moment
            self._say(f"{child.spec.name} cannot be started: {error.strerror}")
            await self._start_again(child, LONGEST_SECONDS)
            return
        self._restarting.discard(child.spec.name)
        self._deaths.tell()  # it may have died already, unnoticed as it was being restarted
        self._say(f"{child.spec.name} is running again, pid {child.pid}")
        await self._restarted(child)

    async def _end(self, child: Child, hurry: asyncio.Event) -> None:
        if child.ended() is None:
            child.signal(signal.SIGTERM)
            gone = asyncio.create_task(gone_of(child, self._deaths))
            hurried = asyncio.create_task(hurry.wait())
            await asyncio.wait(
                {gone, hurried},
                timeout=child.spec.stop_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            gone.cancel()
            hurried.cancel()
            if child.ended() is None and not hurry.is_set():
                limit = f"{child.spec.stop_seconds:g} s"
                self._say(f"{child.spec.name} did not end within {limit}: it is killed")
        child.kill_group()


async def gone_of(child: Child, deaths: Deaths) -> int:
    """Wait for the end of a child; its exit code."""
    while (code := child.ended()) is None:
        await deaths.next()
    return code


async def up(child: Child) -> None:
    """Wait until the child does what its Spec promises, however often it is restarted."""
    spec = child.spec
    if spec.path is None:
        await probes.until_listening(spec.port)
    else:
        await probes.until_ok(spec.port, spec.path)


def _stage(child: Child) -> int:
    return child.spec.stop_stage
