"""Where events go that Redis did not take: the spool on local disk, else what is left (overflow).

Those of one turn of the event loop are written together. An event may then be in the outbox as
well, since a late reply says nothing: its effects are idempotent. What Redis took is copied there
too, in case it loses it (`workers/copy_watching.py`).
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from adapters.spool import Mark, Record
from config.failpoints import Failpoint, reach
from domain.errors import Transient

SPOOLED, OVERFLOWED = "spooled", "overflowed"


class Spool(Protocol):
    """The write-ahead log; see `adapters/spool.py`."""

    def write(self, records: Sequence[Record]) -> None:
        """Append all or none; raises Transient where the disk takes no more."""
        ...

    def copy(self, events: Sequence[bytes]) -> None:
        """Append copies, all or none; raises Transient where there is no room for them."""
        ...


class LastResort(Protocol):
    """Takes what the spool did not."""

    def offer(self, kind: str, events: Sequence[bytes], *, is_audited: bool) -> bool:
        """Take all of these or none."""
        ...


@dataclass(frozen=True, slots=True)
class _Waiting:
    kind: str
    events: Sequence[bytes]
    done: Callable[[bool], None]
    is_audited: bool


class SpooledEvents:
    """The `EventSink` of a serving process."""

    def __init__(
        self,
        spool: Spool,
        last_resort: LastResort,
        count: Callable[[str, str, int], None],
        uncopied: Callable[[int], None],
    ) -> None:
        self._spool = spool
        self._last_resort = last_resort
        self._count = count
        self._uncopied = uncopied
        self._waiting: list[_Waiting] = []
        self._copied: list[bytes] = []
        self._after_copying: list[Callable[[], None]] = []

    def keep(
        self, kind: str, events: Sequence[bytes], done: Callable[[bool], None], *, is_audited: bool
    ) -> None:
        """Take events with those of the same turn of the loop."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._write)
        self._waiting.append(_Waiting(kind, events, done, is_audited))

    def copy(self, events: Sequence[bytes], done: Callable[[], None]) -> None:
        """Copy events with those of the same turn of the loop."""
        if not self._after_copying:
            asyncio.get_running_loop().call_soon(self._write_copies)
        self._copied += events
        self._after_copying.append(done)

    def _write_copies(self) -> None:
        copied, self._copied = self._copied, []
        after, self._after_copying = self._after_copying, []
        try:
            self._spool.copy(copied)
        except Transient:  # Redis has them
            self._uncopied(len(copied))
        finally:
            for done in after:
                done()

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            self._spool.write([Record(Mark.SEND, event) for one in waiting for event in one.events])
        except Transient:
            for one in waiting:
                self._overflow(one)
            return
        reach(Failpoint.SERVING_AFTER_SPOOL)
        for one in waiting:
            self._count(one.kind, SPOOLED, len(one.events))
            one.done(True)

    def _overflow(self, one: _Waiting) -> None:
        try:
            # Alone it may still fit.
            self._spool.write([Record(Mark.SEND, event) for event in one.events])
        except Transient:
            taken = self._last_resort.offer(one.kind, one.events, is_audited=one.is_audited)
            if taken:
                self._count(one.kind, OVERFLOWED, len(one.events))
        else:
            self._count(one.kind, SPOOLED, len(one.events))
            taken = True
        one.done(taken)
