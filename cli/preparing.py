"""Runs `cli.priming`, which fills an empty stack, as often as that takes."""

import asyncio
import signal
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
            self._running = child = self._child()
            child.start()
            try:
                code = await gone_of(child, self._deaths)
            finally:
                child.kill_group()
                self._running = None
            if code:
                return f"the stack is not prepared ({manner(code)}): {child.last_words()}"
            self._file = None
            return ""

    def interrupt(self) -> bool:
        """End an attempt that is under way, which counts as failed; whether there was one."""
        if self._running is None:
            return False
        self._running.signal(signal.SIGKILL)
        return True

    def _child(self) -> Child:
        directory = self._stack.directory
        arguments = [str(directory.catalogue), str(directory.model)]
        if self._file is not None:
            arguments.append(str(self._file))
        spec = Spec(
            name="priming",
            command=python("cli.priming", *arguments),
            environment=self._stack.environment,
            port=0,
        )
        return Child(spec, directory.log("priming"), directory.path)
