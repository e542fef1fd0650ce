"""Makes an empty stack usable: runs `cli.provisioning`, then `cli.priming`, until both are done."""

import asyncio
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

from cli.children import Child, Spec, manner
from cli.deaths import Deaths
from cli.embedded import Stack, python
from cli.failures import FAILED, Failure
from cli.supervisor import gone_of

TRIES = 4
PAUSE_SECONDS = 0.5


class Preparing:
    """The preparation of one stack. The catalogue's file, if there is one, is read the first time
    only: after that the one that was published last is kept in the data directory."""

    def __init__(self, stack: Stack, catalogue: Path | None, deaths: Deaths) -> None:
        self._deaths = deaths
        self._stack = stack
        self._file = catalogue
        self._one_at_a_time = asyncio.Lock()
        self._running: Child | None = None
        self._is_provisioned = asyncio.Event()

    async def until_provisioned(self) -> None:
        """Wait for the AWS resources: what works on them may start."""
        await self._is_provisioned.wait()

    async def until_done(self) -> None:
        """Prepare a new stack; raises Failure where it cannot be done."""
        for _ in range(TRIES):
            trouble = await self.trouble()
            if not trouble:
                return
            await asyncio.sleep(PAUSE_SECONDS)
        raise Failure(trouble, FAILED)

    async def trouble(self) -> str:
        """Prepare the stack; what went wrong, or nothing."""
        async with self._one_at_a_time:
            trouble = await self._trouble_of("provisioning", python("cli.provisioning"))
            if trouble:
                return trouble
            self._is_provisioned.set()
            trouble = await self._trouble_of("priming", python("cli.priming", *self._to_load()))
            if not trouble:
                self._file = None
            return trouble

    def interrupt(self) -> bool:
        """End an attempt that is under way, which counts as failed; whether there was one."""
        if self._running is None:
            return False
        self._running.signal(signal.SIGKILL)
        return True

    async def _trouble_of(self, name: str, command: Sequence[str]) -> str:
        """Run one step to its end."""
        directory = self._stack.directory
        spec = Spec(name=name, command=command, environment=self._stack.environment, port=0)
        self._running = child = Child(spec, directory.log(name), directory.path)
        child.start()
        try:
            code = await gone_of(child, self._deaths)
        finally:
            child.kill_group()
            self._running = None
        return f"{name} failed ({manner(code)}): {child.last_words()}" if code else ""

    def _to_load(self) -> Iterator[str]:
        directory = self._stack.directory
        yield from (str(directory.catalogue), str(directory.model))
        if self._file is not None:
            yield str(self._file)
