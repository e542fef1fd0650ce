"""Threads for calls that block, so few that none waits in a queue behind others.

Whoever finds no free thread is refused at once: a call that waits for its turn would be made after
its deadline, for nobody.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from domain.errors import Transient

Result = TypeVar("Result")


class BoundedThreads:
    """So many calls at once, of which each ends when it ends, also when nobody waits any more."""

    def __init__(self, threads: int, name: str) -> None:
        self._name = name
        self._free = threading.BoundedSemaphore(threads)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def run(self, call: Callable[[], Result]) -> Result:
        """What the call returns or raises; raises Transient where no thread is free."""
        if not self._free.acquire(blocking=False):
            raise Transient(f"every thread of {self._name} is busy", dependency=self._name)
        try:
            future: Future[Result] = self._threads.submit(call)
        except RuntimeError as error:  # the process ends
            self._free.release()
            raise Transient(f"{self._name} is closed") from error
        future.add_done_callback(lambda _: self._free.release())
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Take no more calls; those that run are left to end."""
        self._threads.shutdown(wait=False, cancel_futures=True)
