"""Which outbox entries this relay holds, and which of them are through.

Pure bookkeeping, safe between threads. An entry is through when every job that follows from it was
accepted; only then may it leave the outbox.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Held:
    """One entry of the outbox between its reading and its acknowledgement.

    `digest` is what a copy of its event is known by; one of the spool has no copy. `traceparent` is
    that of the request that it came from.
    """

    shard: int
    id: bytes
    event_type: str
    size_bytes: int
    unsent: int
    since: float
    digest: bytes = b""
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """How much is held."""

    entries: int
    size_bytes: int


class Ledger:
    """Counts the jobs of each entry down to zero."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[tuple[int, bytes], Held] = {}
        self._through: list[Held] = []
        self._refused: dict[Held, str] = {}
        self._bytes = 0

    def hold(self, entry: Held) -> bool:
        """Take an entry on; False where it is held already and must not be sent twice."""
        key = (entry.shard, entry.id)
        with self._lock:
            if key in self._held:
                return False
            self._held[key] = entry
            self._bytes += entry.size_bytes
            if entry.unsent == 0:
                self._through.append(entry)
        return True

    def sent(self, entries: Iterable[Held]) -> None:
        """Count one sent job for each mention of an entry."""
        with self._lock:
            for entry in entries:
                entry.unsent -= 1
                if entry.unsent == 0:
                    self._through.append(entry)

    def take_through(self) -> list[Held]:
        """The entries to acknowledge; they stay held until `release`."""
        with self._lock:
            through, self._through = self._through, []
        return through

    def refused(self, entries: Iterable[Held], reason: str) -> None:
        """Note entries with a job that will never be accepted."""
        with self._lock:
            self._refused.update(dict.fromkeys(entries, reason))

    def take_refused(self) -> dict[Held, str]:
        """The entries to set aside, with the reason; they stay held until `release`."""
        with self._lock:
            refused, self._refused = self._refused, {}
        return refused

    def put_back(self, entries: Iterable[Held]) -> None:
        """Offer entries again whose acknowledgement failed."""
        with self._lock:
            self._through.extend(entries)

    def release(self, entries: Iterable[Held]) -> None:
        """Forget entries that have left the outbox, or that go back to it."""
        with self._lock:
            for entry in entries:
                if self._held.pop((entry.shard, entry.id), None) is not None:
                    self._bytes -= entry.size_bytes

    def held(self, until: float = float("inf")) -> list[Held]:
        """Everything that is held and was taken on before that time."""
        with self._lock:
            return [entry for entry in self._held.values() if entry.since <= until]

    def load(self) -> Load:
        """How much is held."""
        with self._lock:
            return Load(len(self._held), self._bytes)
