"""The outbox as the relay sees it: Redis streams `outbox:<shard>` read by one consumer group.

Needs a server of version 7 or newer whose eviction policy spares keys without a TTL. Reading is
at-least-once: an entry stays until `acknowledge` took it out, and one that its reader has neither
acknowledged nor kept for a while is given to whoever claims it. What cannot be understood is moved
to `outbox:<shard>:malformed`, with the reason. Every method raises Transient while Redis is not
able to answer. One object serves one thread.
"""

import os
import secrets
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis

from adapters.redis_connection import RedisConnection
from adapters.redis_errors import meaning
from domain.errors import Transient

GROUP = "relay"
_FIRST = b"0-0"
_CHUNK = 1000
"""Ids in one command: a longer one would hold up the request path."""

_Row = tuple[bytes, Mapping[bytes, bytes]]

# XINFO, then XGROUP DELCONSUMER, would drop what the consumer read in between.
_REMOVE_IDLE_CONSUMERS = """
local removed = 0
for _, row in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local name, pending, idle = row[2], row[4], row[6]
  if pending == 0 and idle > tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], name)
    removed = removed + 1
  end
end
return removed
"""


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """One entry as it lies in the stream."""

    shard: int
    id: bytes
    fields: Mapping[bytes, bytes]

    @property
    def size_bytes(self) -> int:
        """What its fields weigh."""
        return sum(len(name) + len(value) for name, value in self.fields.items())


class RedisOutbox:
    """One relay's view of every shard."""

    def __init__(
        self, connection: RedisConnection, shards: int, consumer: str | None = None
    ) -> None:
        self.consumer = consumer or _consumer_name()
        self._keys = {f"outbox:{shard}".encode(): shard for shard in range(shards)}
        self._client: Any = connection.client
        self._has_groups = False
        self._claim_from: dict[bytes, bytes] = {}

    def read(self, count: int, block_seconds: float) -> list[OutboxEntry]:
        """Up to `count` new entries of each shard; waits for the first one at the most so long."""
        with self._groups():
            streams = dict.fromkeys(self._keys, ">")
            block_ms = max(1, int(block_seconds * 1000))
            found = self._client.xreadgroup(GROUP, self.consumer, streams, count, block_ms)
        return [entry for key, rows in found or () for entry in _entries(self._keys[key], rows)]

    def claim_idle(self, idle_seconds: float, count: int) -> list[OutboxEntry]:
        """Up to `count` entries of each shard that another relay has left alone for so long.

        The next call goes on where this one found some, so that repeated calls find all.
        """
        claimed: list[OutboxEntry] = []
        with self._groups():
            for key, shard in self._keys.items():
                claimed += _entries(shard, self._claim_next(key, int(idle_seconds * 1000), count))
        return claimed

    def _claim_next(self, key: bytes, idle_ms: int, count: int) -> Sequence[_Row]:
        # One XAUTOCLAIM looks at ten times `count` entries at the most, which may all be kept.
        while True:
            start = self._claim_from.get(key, _FIRST)
            after, rows, *_ = self._client.xautoclaim(
                key, GROUP, self.consumer, idle_ms, start, count=count
            )
            self._claim_from[key] = after
            if rows or after == _FIRST:
                found: Sequence[_Row] = rows
                return found

    def keep(self, entries: Iterable[tuple[int, bytes]]) -> None:
        """Say that these entries are still being worked on, so that nobody claims them."""
        self._claim_for_self(entries, idle_ms=0)

    def hand_back(self, entries: Iterable[tuple[int, bytes]]) -> None:
        """Let any relay claim these entries at once."""
        self._claim_for_self(entries, idle_ms=86_400_000)

    def acknowledge(self, entries: Iterable[tuple[int, bytes]]) -> None:
        """Take entries out of the outbox for good."""
        with self._groups():
            pipeline = self._client.pipeline(transaction=True)
            for key, ids in self._by_key(entries):
                pipeline.xack(key, GROUP, *ids)
                pipeline.xdel(key, *ids)
            pipeline.execute()

    def set_aside(self, entry: OutboxEntry, reason: str) -> None:
        """Move an entry to its shard's stream of malformed ones, where a person finds it."""
        key = f"outbox:{entry.shard}"
        kept = {**entry.fields, b"reason": reason.encode(), b"id": entry.id}
        with self._groups():
            pipeline = self._client.pipeline(transaction=True)
            pipeline.xadd(malformed_key(entry.shard), kept)
            pipeline.xack(key, GROUP, entry.id)
            pipeline.xdel(key, entry.id)
            pipeline.execute()

    def fetch(self, shard: int, entry_id: bytes) -> OutboxEntry | None:
        """One entry by its id, or None where it is gone."""
        with self._groups():
            rows = self._client.xrange(f"outbox:{shard}", entry_id, entry_id)
        return next(iter(_entries(shard, rows)), None)

    def depth(self) -> int:
        """How many entries are not relayed yet."""
        with self._groups():
            return sum(self._client.xlen(key) for key in self._keys)

    def malformed(self) -> int:
        """How many entries are set aside."""
        with self._groups():
            return sum(self._client.xlen(malformed_key(shard)) for shard in self._keys.values())

    def oldest_seconds(self) -> float:
        """The age of the oldest entry, by this host's clock; 0 where there is none."""
        with self._groups():
            firsts = [self._client.xrange(key, count=1) for key in self._keys]
        ages = [time.time() - int(rows[0][0].split(b"-")[0]) / 1000 for rows in firsts if rows]
        return max([0.0, *ages])

    def remove_idle_consumers(self, idle_seconds: float) -> int:
        """Remove relays that hold nothing and have not been heard of for so long."""
        with self._groups():
            return sum(
                self._client.eval(_REMOVE_IDLE_CONSUMERS, 1, key, GROUP, int(idle_seconds * 1000))
                for key in self._keys
            )

    def _claim_for_self(self, entries: Iterable[tuple[int, bytes]], idle_ms: int) -> None:
        with self._groups():
            for key, ids in self._by_key(entries):
                for at in range(0, len(ids), _CHUNK):
                    self._client.xclaim(
                        key, GROUP, self.consumer, 0, ids[at : at + _CHUNK],
                        idle=idle_ms, justid=True,
                    )  # fmt: skip

    def _by_key(self, entries: Iterable[tuple[int, bytes]]) -> list[tuple[str, list[bytes]]]:
        ids: dict[int, list[bytes]] = {}
        for shard, entry_id in entries:
            ids.setdefault(shard, []).append(entry_id)
        return [(f"outbox:{shard}", of_shard) for shard, of_shard in ids.items()]

    @contextmanager
    def _groups(self) -> Iterator[None]:
        try:
            if not self._has_groups:
                self._create_groups()
            yield
        except redis.ResponseError as error:
            if "NOGROUP" not in str(error):
                raise meaning(error) from error
            # The stream was lost with its group: it is made again with the next call.
            self._has_groups = False
            raise Transient("the outbox was lost") from error
        except (redis.RedisError, OSError) as error:
            raise meaning(error) from error

    def _create_groups(self) -> None:
        for key in self._keys:
            try:
                # From the start: what was written before the first relay came counts as well.
                self._client.xgroup_create(key, GROUP, id="0", mkstream=True)
            except redis.ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise
        self._has_groups = True


def malformed_key(shard: int) -> str:
    """The stream of a shard's entries that could not be understood."""
    return f"outbox:{shard}:malformed"


def _entries(shard: int, rows: Sequence[_Row]) -> list[OutboxEntry]:
    # A row without fields was deleted after it had been read.
    return [OutboxEntry(shard, entry_id, fields) for entry_id, fields in rows if fields]


def _consumer_name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
