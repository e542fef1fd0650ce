"""Threads for calls that block, with no queue behind them, or a short one.

Whoever finds no room is refused at once: a call that waits for its turn for long would be made
after its deadline, for nobody.
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

    def __init__(self, threads: int, name: str, *, waiting: int = 0) -> None:
        """`name` is the dependency that is called; so many more calls may wait for a thread."""
        self._name = name
        self._free = threading.BoundedSemaphore(threads + waiting)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def run(self, call: Callable[[], Result]) -> Result:
        """What the call returns or raises; raises Transient where there is no room.

        A call that nobody waits for any more before it begins is not made.
        """
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
