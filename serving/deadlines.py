"""One timer for the deadlines of all connections, whatever they speak."""

import asyncio
from collections.abc import Iterable
from typing import Protocol, runtime_checkable

SWEEP_SECONDS = 1.0


@runtime_checkable
class Watched(Protocol):
    """A connection that looks after its own deadlines when it is told the time."""

    def close_if_overdue(self, now: float) -> None:
        """Close the connection where one of them is over."""
        ...


async def sweep(connections: Iterable[object]) -> None:
    """Close what is overdue, for as long as the process serves: one timer for all connections."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        now = loop.time()
        for connection in list(connections):
            if isinstance(connection, Watched):
                connection.close_if_overdue(now)
