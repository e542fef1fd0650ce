"""One Redis connection that every request of a process shares, from its first byte to its last.

The commands of one turn of the event loop leave in one write, and replies are matched to callers
by their order. Anything unexpected drops the connection with everything that waits on it, so a
reply never reaches the wrong caller. Not for blocking commands, and values beyond 64 KB belong
on a connection of their own: whatever is slow holds up everybody behind it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import cast

import hiredis

from domain.errors import Transient

log = logging.getLogger(__name__)

FUNCTIONS = Path(__file__).with_name("redis_functions.lua")
MAX_PENDING = 8192
HIGH_WATER_BYTES = 4 * 1024 * 1024
STALL_SECONDS = 0.3
"""How long after its deadline an answer may still come before the connection is given up."""
SLOW_AFTER = 5
"""So many times in a row that deadlines pass make a connection slow."""
LAG_SECONDS = 0.005
"""Beyond it this process was late itself: replies that are there already are read first."""

Reply = object
"""bytes, int, list or None as Redis sent it, or the NotDone or Unknown that came instead."""


class NotDone(Transient):
    """The command was refused or never left this process: it had no effect."""


class WritesRefused(NotDone):
    """The server takes no writes at the moment, but reads: its memory or its disk is full."""


class Unknown(Transient):
    """The reply is late or lost: the command may have been carried out."""


class Late(Unknown):
    """The deadline passed; the reply will be thrown away when it comes."""


def pack(*words: str | bytes | int) -> bytes:
    """A command as the bytes to send."""
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type] # typed as a 1-tuple
    return packed


def bytes_in(reply: Reply) -> bytes | None:
    """The text that a reply is; None for nothing, or for something else."""
    return reply if isinstance(reply, bytes) else None


_ONLY_READS = ("OOM ", "MISCONF ", "NOREPLICAS ")
_LEAVE = (
    "ASK ", "CLUSTERDOWN ", "LOADING ", "MASTERDOWN ", "MOVED ", "NOAUTH ", "READONLY ",
)  # fmt: skip
"""Replies of a server that is not, or no more, the one to talk to: the next one may be."""

LOAD_FUNCTIONS = pack("FUNCTION", "LOAD", FUNCTIONS.read_bytes())
_MORE = object()


class Slot:
    """A command's place in the order of replies; it outlives a caller who gave up."""

    __slots__ = ("answer", "command", "deadline", "resent")

    def __init__(self, command: bytes, answer: Callable[[Reply], None], deadline: float) -> None:
        self.command = command
        self.answer: Callable[[Reply], None] | None = answer
        self.deadline = deadline
        self.resent = False

    def settle(self, reply: Reply) -> None:
        answer, self.answer = self.answer, None
        if answer is not None:
            try:
                answer(reply)
            except Exception:  # one caller's fault must not cost the others their replies
                log.exception("a caller failed on its reply")


class Link(asyncio.Protocol):
    """One connection; it is never used again after a fault."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(notEnoughData=_MORE)
        self._pending: deque[Slot] = deque()
        self._unsent: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._paused = False
        self._late = 0
        self._put_off = False
        self.lost: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # with TCP_NODELAY already set
        self._transport.set_write_buffer_limits(HIGH_WATER_BYTES)

    @property
    def is_slow(self) -> bool:
        """Whether the last deadlines all passed without a reply."""
        return self._late >= SLOW_AFTER

    def send(self, slot: Slot) -> None:
        """Queue a command; beyond the limits, or when closed, it is refused at once."""
        if self._transport is None or self._transport.is_closing():
            slot.settle(NotDone("the Redis connection is closed"))
            return
        if self._paused or len(self._pending) >= MAX_PENDING:
            slot.settle(NotDone("too much waits for Redis already"))
            return
        self._pending.append(slot)
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(slot.command)
        if self._timer is None or slot.deadline < self._timer_at:
            self._arm(slot.deadline)

    def _flush(self) -> None:
        if self._transport is None or self._transport.is_closing() or not self._unsent:
            return
        data, self._unsent = b"".join(self._unsent), []
        try:
            self._transport.write(data)
        except Exception as error:  # uvloop raises RuntimeError on a handle it has closed
            self.reset(error)

    def data_received(self, data: bytes) -> None:
        if self._transport is None:
            return
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not _MORE:
                slot = self._pending.popleft()
                if slot.answer is not None:
                    self._late = 0
                if isinstance(reply, hiredis.HiredisError):
                    self._refused(slot, str(reply))
                else:
                    slot.settle(reply)
        except Exception as error:  # damaged bytes, or a reply that nobody asked for
            self.reset(error)

    def _refused(self, slot: Slot, reason: str) -> None:
        if reason.startswith("ERR Function not found") and slot.answer and not slot.resent:
            slot.resent = True
            self.send(Slot(LOAD_FUNCTIONS, _ignore, slot.deadline))
            self.send(slot)
            return
        kind = WritesRefused if reason.startswith(_ONLY_READS) else NotDone
        slot.settle(kind(f"Redis refused: {reason}"))
        if reason.startswith(_LEAVE):
            self.reset(NotDone(reason))

    def _arm(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = when
        self._timer = self._loop.call_at(when, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        self._put_off = not self._put_off and now - self._timer_at > LAG_SECONDS
        if self._put_off:
            self._arm(now + LAG_SECONDS / 5)
            return
        if self._pending and now >= self._pending[0].deadline + STALL_SECONDS:
            self.reset(Unknown("Redis has stopped answering"))
            return
        late = [slot for slot in self._pending if slot.answer and slot.deadline <= now]
        if late:
            self._late += 1
        for slot in late:
            slot.settle(Late("Redis did not answer in time"))
        if self._pending and self._timer is None:
            waiting = [slot.deadline for slot in self._pending if slot.answer]
            self._arm(min([*waiting, self._pending[0].deadline + STALL_SECONDS]))

    def reset(self, error: Exception) -> None:
        """Drop the connection; the callers learn it at once."""
        if self._transport is not None:
            self._transport.abort()
        self.connection_lost(error)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        pending, self._pending = self._pending, deque()
        unsent, self._unsent = len(self._unsent), []
        for place, slot in enumerate(pending):
            sent = place < len(pending) - unsent
            why = f"the Redis connection was lost: {error}"
            slot.settle(Unknown(why) if sent else NotDone(why))
        if not self.lost.done():
            self.lost.set_result(None)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False

    async def ask(self, command: bytes, seconds: float) -> Reply:
        """The reply to a packed command; raises NotDone or Unknown."""
        future: asyncio.Future[Reply] = self._loop.create_future()

        def settle(reply: Reply) -> None:
            if future.done():
                return
            if isinstance(reply, Transient):
                future.set_exception(reply)
            else:
                future.set_result(reply)

        self.send(Slot(command, settle, self._loop.time() + seconds))
        return await future


def _ignore(_reply: Reply) -> None:
    pass
