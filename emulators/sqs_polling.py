"""Long polls: who waits at which queue, and who is woken when a message becomes visible.

A woken poll takes messages itself, in the same step in which its reply is written; one whose client
has gone is cancelled before that and passes its turn on.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from emulators.sqs_queue import Message
    from emulators.sqs_store import Queue
    from emulators.wire import Clock

MIN_TIMER_SECONDS = 0.001


@dataclass(slots=True)
class _Room:
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    timer: asyncio.TimerHandle | None = None
    timer_due: float = 0.0


class Polling:
    def __init__(self, clock: Clock, rng: random.Random) -> None:
        self.rng = rng
        self._clock = clock
        self._rooms: weakref.WeakKeyDictionary[Queue, _Room] = weakref.WeakKeyDictionary()

    async def wait_for(
        self, queue: Queue, take: Callable[[], list[Message]], seconds: float
    ) -> list[Message]:
        """Wait until `take` yields something, or time is up. The queue may be deleted meanwhile."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        messages: list[Message] = []
        while not messages and loop.time() < deadline:
            await self._turn(queue, deadline)
            messages = take()
            self.notify(queue)
        return messages

    async def _turn(self, queue: Queue, deadline: float) -> None:
        loop = asyncio.get_running_loop()
        room = self._rooms.setdefault(queue, _Room())
        turn = loop.create_future()
        room.waiting.append(turn)
        timeout = loop.call_at(deadline, _wake, turn)
        self.notify(queue)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.notify(queue)
            raise
        finally:
            timeout.cancel()
            if turn in room.waiting:
                room.waiting.remove(turn)

    def notify(self, queue: Queue) -> None:
        """Something about the queue changed: wake one poll if a message is visible."""
        room = self._rooms.get(queue)
        if room is None or not room.waiting:
            return
        if queue.messages.has_visible():
            self._wake_one(room)
        else:
            self._arm(room, queue)

    def dismiss(self, queue: Queue, error: Exception) -> None:
        """The queue is being deleted: every poll at it ends with this error."""
        room = self._rooms.pop(queue, _Room())
        for turn in room.waiting:
            if not turn.done():
                turn.set_exception(error)

    @staticmethod
    def _wake_one(room: _Room) -> None:
        while room.waiting:
            turn = room.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _arm(self, room: _Room, queue: Queue) -> None:
        """Set the room's timer for the moment at which the next hidden message shows."""
        due = queue.messages.next_due()
        if due is None or (room.timer is not None and room.timer_due <= due):
            return
        if room.timer is not None:
            room.timer.cancel()
        delay = max(due - self._clock(), MIN_TIMER_SECONDS)
        room.timer_due = due
        room.timer = asyncio.get_running_loop().call_later(delay, self._ring, room, queue)

    def _ring(self, room: _Room, queue: Queue) -> None:
        room.timer = None
        self.notify(queue)

    def close(self) -> None:
        for room in self._rooms.values():
            if room.timer is not None:
                room.timer.cancel()


def _wake(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)
