"""Tells whoever waits that some child process has ended; which one, they see for themselves."""

import asyncio
import signal


class Deaths:
    """SIGCHLD as something to await. One for each event loop, to be made inside of it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._next = self._loop.create_future()
        self._loop.add_signal_handler(signal.SIGCHLD, self.tell)

    def tell(self) -> None:
        """Wake everybody who waits."""
        self._next.set_result(None)
        self._next = self._loop.create_future()

    async def next(self) -> None:
        """Wait for the next death. Looking and then waiting misses none: nothing is told before
        the caller has given way to the event loop."""
        await asyncio.shield(self._next)
