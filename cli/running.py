"""One run of an embedded stack: brought up, kept up, its addresses written down, and ended.

The processes that need AWS, Redis or a broker are children; nothing of them is imported here.
"""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path

from cli import output, probes
from cli.children import Child, Spec
from cli.deaths import Deaths
from cli.embedded import Stack
from cli.failures import FAILED, Failure
from cli.ports import HOST
from cli.preparing import Preparing
from cli.supervisor import Supervisor, up
from cli.voice import Voice

START_SECONDS = 120.0
IMPATIENT_SECONDS = 15.0
PROGRESS_SECONDS = 0.2
STEPS = ("the AWS resources", "the first answers", "serving's /readyz")


class Run:
    """A planned stack that is to run; to be made on the event loop.

    `show` is given the address of the chat page once it is there.
    """

    def __init__(
        self,
        stack: Stack,
        catalogue: Path | None,
        voice: Voice,
        show: Callable[[str], None] | None = None,
    ) -> None:
        self._stack = stack
        self._voice = voice
        self._show = show
        deaths = Deaths()
        self._supervisor = Supervisor(voice.say, self._restarted, deaths)
        self._preparing = Preparing(stack, catalogue, deaths)
        self._waits_for = set[str]()
        self._there = 0
        self._stop, self._hurry = asyncio.Event(), asyncio.Event()

    async def until_signal(self) -> None:
        """Run until a signal, and leave nothing behind; the second signal hurries."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
                loop.add_signal_handler(number, self._signalled)
        tasks = [
            asyncio.create_task(coroutine)
            for coroutine in (self._live(), self._supervisor.watch(), self._stop.wait())
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            self._voice.say("stopping")
        finally:
            tasks[0].cancel()
            await self._supervisor.stop(self._hurry)
            await asyncio.gather(*tasks, return_exceptions=True)
        self._voice.say("stopped")

    def _signalled(self) -> None:
        (self._hurry if self._stop.is_set() else self._stop).set()

    async def _live(self) -> None:
        progress = asyncio.create_task(self._tell_progress())
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._bring_up()
        except TimeoutError as error:
            raise Failure(
                f"not ready within {START_SECONDS:g} s: {self._awaited()}", FAILED
            ) from error
        finally:
            progress.cancel()
            self._voice.show("")
        self._supervisor.is_ready = True
        self._write_endpoints()
        self._print_table()
        self._voice.say(f"ready {self._stack.ports.http.url}")
        if self._show is not None:
            await asyncio.to_thread(self._show, self._stack.ports.http.url)
        await asyncio.Event().wait()

    async def _bring_up(self) -> None:
        foundations = [self._start(spec) for spec in self._stack.foundations]
        await asyncio.gather(*(self._until(child.spec.name, up(child)) for child in foundations))
        resources, answers, readiness = STEPS
        preparing = self._until(answers, self._preparing.until_done())
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(preparing)
                # Else each process would complain of what is only not there yet.
                await self._until(resources, self._preparing.until_provisioned())
                for child in [self._start(spec) for spec in self._stack.processes]:
                    group.create_task(self._until(child.spec.name, up(child)))
                self._write_endpoints()
                ready = probes.until_ok(self._stack.ports.http.number, "/readyz")
                group.create_task(self._until(readiness, ready))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures

    async def _until(self, what: str, comes: Coroutine[None, None, None]) -> None:
        self._waits_for.add(what)
        await comes
        self._waits_for.discard(what)
        self._there += 1
        self._voice.note(f"there: {what}")

    async def _tell_progress(self) -> None:
        """In the last line of a terminal all the time, elsewhere now and then."""
        steps = len(self._stack.foundations) + len(self._stack.processes) + len(STEPS)
        self._voice.say(f"starting; the logs are in {self._stack.directory.logs}")
        while self._voice.is_seen:
            waits_for = ", ".join(sorted(self._waits_for)) or "processes"
            passed = f"{self._voice.passed_seconds:.0f} s"
            self._voice.show(f"{passed}: {self._there} of {steps} there, waiting for {waits_for}")
            await asyncio.sleep(PROGRESS_SECONDS)
        while True:
            await asyncio.sleep(IMPATIENT_SECONDS)
            self._voice.say(f"not ready yet: {self._awaited()}")

    def _awaited(self) -> str:
        return f"waiting for {', '.join(sorted(self._waits_for))}; see {self._stack.directory.logs}"

    def _start(self, spec: Spec) -> Child:
        child = Child(spec, self._stack.directory.log(spec.name), self._stack.directory.path)
        self._supervisor.start(child)
        return child

    async def _restarted(self, child: Child) -> None:
        self._write_endpoints()
        if child.spec.is_remembering:
            return
        if self._preparing.interrupt():
            return  # it is tried again by whoever waits for it
        await up(child)
        self._voice.say(f"{child.spec.name} has lost what it held: preparing it again")
        while trouble := await self._preparing.trouble():
            self._voice.say(trouble)
            await asyncio.sleep(1.0)
        self._voice.say(f"{child.spec.name} is prepared")

    def _write_endpoints(self) -> None:
        pids = {
            child.spec.name: child.pid
            for child in self._supervisor.children
            if child.pid is not None
        }
        try:
            self._stack.endpoints(pids).write(self._stack.directory.endpoints)
        except OSError as error:
            self._voice.say(f"{self._stack.directory.endpoints} cannot be written: {error}")

    def _print_table(self) -> None:
        children = sorted(self._supervisor.children, key=lambda child: child.spec.name)
        rows = [
            [child.spec.name, child.spec.what, f"{HOST}:{child.spec.port}", str(child.pid)]
            for child in children
        ]
        for line in output.table_lines(["name", "what", "where", "pid"], rows):
            self._voice.say(line)
        self._voice.say(f"logs and data are in {self._stack.directory.path}; Ctrl-C stops all")
