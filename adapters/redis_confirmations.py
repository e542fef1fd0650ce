"""Which events of the outbox SQS has: a stream that relays write and that each of them follows.

Needs what `redis_outbox.py` needs. An entry of `outbox:confirmed` holds the digests of some events
(`spool.digest`), which are kept for `RETAIN_SECONDS`. A confirmation is written before its event
leaves the outbox, so one that is in neither is lost, or its confirmation was: sending it again is
harmless. Every method raises Transient or Permanent. One object serves one thread.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.redis_connection import RedisConnection
from adapters.redis_errors import translated
from adapters.spool import DIGEST_BYTES

KEY = "outbox:confirmed"
RETAIN_SECONDS = 600
"""How long a host's copies may be without a relay and not be sent again."""
ENTRY_DIGESTS = 1000
READ_ENTRIES = 100
_DIGESTS = b"d"
_FIRST = b"0-0"

EntryId = tuple[int, int]
"""The id of a stream's entry, in the order of the stream."""


@dataclass(frozen=True, slots=True)
class Sight:
    """The outbox at one moment, by shard; a shard without entries is in neither."""

    oldest: Mapping[int, EntryId]
    newest: Mapping[int, EntryId]


class RedisConfirmations:
    """One thread's view of the confirmations, and of what is still to be confirmed."""

    def __init__(self, connection: RedisConnection, shards: int) -> None:
        self._client: Any = connection.client
        self._shards = range(shards)
        self._read_until = _FIRST
        self._server_ms = 0

    def confirm(self, digests: Sequence[bytes]) -> None:
        """Say that SQS has these events; there is at least one."""
        with translated():
            pipeline = self._client.pipeline(transaction=False)
            for at in range(0, len(digests), ENTRY_DIGESTS):
                joined = b"".join(digests[at : at + ENTRY_DIGESTS])
                # By the server's clock, as of the last call: others may be an hour off.
                oldest_ms = max(0, self._server_ms - RETAIN_SECONDS * 1000)
                pipeline.xadd(KEY, {_DIGESTS: joined}, minid=oldest_ms, approximate=False)
            pipeline.expire(KEY, RETAIN_SECONDS)
            first, *_ = pipeline.execute()
        self._server_ms = _id_of(first)[0]

    def look(self) -> Sight:
        """The outbox now; what `confirmed` reads afterwards holds whatever had left it."""
        with translated():
            pipeline = self._client.pipeline(transaction=False)
            for shard in self._shards:
                pipeline.xrange(f"outbox:{shard}", count=1)
                pipeline.xrevrange(f"outbox:{shard}", count=1)
            rows = pipeline.execute()
        return Sight(_ids(rows[::2]), _ids(rows[1::2]))

    def confirmed(self) -> tuple[Sequence[bytes], bool]:
        """Digests not read yet, at first all there are; and whether there may be more."""
        with translated():
            last = self._client.xrevrange(KEY, count=1)
            if last and _id_of(last[0][0]) < _id_of(self._read_until):
                self._read_until = _FIRST  # another primary, which lost the end of the stream
            found = self._client.xread({KEY: self._read_until}, READ_ENTRIES)
        rows = found[0][1] if found else []
        if rows:
            self._read_until = rows[-1][0]
        digests = [digest for _, fields in rows for digest in _split(fields.get(_DIGESTS, b""))]
        return digests, len(rows) >= READ_ENTRIES


def _id_of(entry_id: bytes) -> EntryId:
    milliseconds, _, number = entry_id.partition(b"-")
    return int(milliseconds), int(number)


def _ids(rows_of_shards: Sequence[Sequence[Any]]) -> Mapping[int, EntryId]:
    return {shard: _id_of(rows[0][0]) for shard, rows in enumerate(rows_of_shards) if rows}


def _split(joined: bytes) -> Sequence[bytes]:
    return [joined[at : at + DIGEST_BYTES] for at in range(0, len(joined), DIGEST_BYTES)]
