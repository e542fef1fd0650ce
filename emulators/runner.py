"""The emulators in a thread of this process, for tests and tools."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import msgspec

from emulators.app import EmulatorApp, EmulatorSettings
from emulators.loop import new_event_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from emulators.faults import FaultRule

T = TypeVar("T")
STOP_SECONDS = 60.0


class RunningEmulator:
    """A started emulator; all methods may be called from any thread."""

    def __init__(self, settings: EmulatorSettings) -> None:
        self._app = EmulatorApp(settings)
        self._loop = new_event_loop()
        self._thread = threading.Thread(target=self._run, name="emulators", daemon=True)
        self._thread.start()
        self.host = settings.host
        try:
            self.port = asyncio.run_coroutine_threadsafe(self._app.start(), self._loop).result()
        except BaseException:
            self.stop()
            raise

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def calls(self) -> dict[str, dict[str, int]]:
        return self._call(self._app.dispatcher.calls)

    def reset_calls(self) -> None:
        self._call(self._app.dispatcher.reset_calls)

    def inject(self, *rules: FaultRule) -> None:
        """Replace the fault rules."""
        # copies: a rule counts its strikes, and the caller's must stay as written
        fresh = [msgspec.structs.replace(rule) for rule in rules]
        self._call(lambda: self._app.dispatcher.inject(fresh))

    def heal(self) -> None:
        self._call(self._app.dispatcher.heal)

    def _call(self, function: Callable[[], T]) -> T:
        async def call() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result()

    def stop(self) -> None:
        if not self._thread.is_alive():
            return
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(STOP_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_SECONDS)
        self._loop.close()

    async def _close(self) -> None:
        await self._app.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def run_in_thread(
    *services: str, settings: EmulatorSettings | None = None, feature_groups: Sequence[str] = ()
) -> Iterator[RunningEmulator]:
    """`with run_in_thread("sqs") as aws: boto3.client("sqs", endpoint_url=aws.url, …)`."""
    settings = settings or EmulatorSettings()
    if services:
        settings = replace(settings, services=services)
    if feature_groups:
        settings = replace(settings, feature_groups=feature_groups)
    emulator = RunningEmulator(settings)
    try:
        yield emulator
    finally:
        emulator.stop()
