"""Single flight: whoever asks for the same at once shares one piece of work.

They hear of it as it comes. Knows nothing of what the work is.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")

Emit = Callable[[str], None]
"""Takes the next piece of a text; must not raise, and is not called after its owner has left."""


class Broadcast:
    """The pieces of a text as they come, for everybody who listens, also from later on."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._listeners: list[Emit] = []

    def emit(self, piece: str) -> None:
        """Pass a piece on."""
        if piece:
            self.pieces.append(piece)
            for listener in tuple(self._listeners):
                listener(piece)

    def listen(self, listener: Emit) -> None:
        """Hear what came so far, and what will come."""
        for piece in self.pieces:
            listener(piece)
        self._listeners.append(listener)

    def leave(self, listener: Emit) -> None:
        """Hear no more."""
        self._listeners.remove(listener)


class Flight(Generic[Result]):
    """One piece of work under way, and how many wait for it."""

    def __init__(self) -> None:
        self.broadcast = Broadcast()
        self.waiting = 0
        self._task: asyncio.Task[Result]

    def depart(self, work: Awaitable[Result], name: str) -> asyncio.Task[Result]:
        """Begin."""
        self._task = asyncio.create_task(_awaited(work), name=name)
        return self._task

    async def join(
        self, seconds: float, emit: Emit | None, streaming_seconds: float = 0.0
    ) -> Result | None:
        """The result; None where it is not there in time, or was given up.

        Who hears the pieces of it waits `streaming_seconds` instead once the first have come.

        The work goes on when the time of those who wait is over, since the next one will ask for
        the same; it is cancelled when the last of them leaves.
        """
        self.waiting += 1
        if emit is not None:
            self.broadcast.listen(emit)
        try:
            await asyncio.wait({self._task}, timeout=seconds)
            if emit is not None and self.broadcast.pieces and streaming_seconds > seconds:
                await asyncio.wait({self._task}, timeout=streaming_seconds - seconds)
        except asyncio.CancelledError:
            if self.waiting == 1:
                self._task.cancel()
            raise
        finally:
            self.waiting -= 1
            if emit is not None:
                self.broadcast.leave(emit)
        if not self._task.done() or self._task.cancelled():
            return None
        return self._task.result()

    @property
    def is_over(self) -> bool:
        """Whether nobody can join any more."""
        return self._task.done() or bool(self._task.cancelling())


class Flights(Generic[Result]):
    """The flights of one process, one for each key."""

    def __init__(self) -> None:
        self._flights: dict[str, Flight[Result]] = {}
        self._tasks: set[asyncio.Task[Result]] = set()

    def __len__(self) -> int:
        """How many are under way, with those that nobody can join any more."""
        return len(self._tasks)

    def has(self, key: str) -> bool:
        """Whether there is one to join."""
        flight = self._flights.get(key)
        return flight is not None and not flight.is_over

    def of(self, key: str, work: Callable[[Flight[Result]], Awaitable[Result]]) -> Flight[Result]:
        """The flight under way, or a new one that does this work."""
        flight = self._flights.get(key)
        if flight is not None and not flight.is_over:
            return flight
        flight = self._flights[key] = Flight()
        task = flight.depart(work(flight), f"flight {key}")
        self._tasks.add(task)
        task.add_done_callback(lambda _task: self._land(key, flight, task))
        return flight

    async def close(self) -> None:
        """Cancel every flight, and wait until it has cleaned up."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _land(self, key: str, flight: Flight[Result], task: asyncio.Task[Result]) -> None:
        self._tasks.discard(task)
        if self._flights.get(key) is flight:
            del self._flights[key]


async def _awaited(work: Awaitable[Result]) -> Result:
    return await work
