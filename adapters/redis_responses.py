"""The response cache in Redis, for the workers. Uses `ma3_response_keep` and `…_retract`.

Keys: `response:<hash>`, and `response_retracted:<hash>`, the set of the fingerprints of contents
that failed a check. Both expire.
"""

from adapters.redis_connection import RedisConnection
from adapters.response_wire import ResponseWire
from domain.ports import Written
from domain.response_cache import PREFIX, StoredResponse

RETRACTED = "response_retracted:"


class RedisResponses:
    """Implements `domain.ports.Responses`."""

    def __init__(
        self, connection: RedisConnection, wire: ResponseWire, *, tombstone_seconds: int
    ) -> None:
        self._connection = connection
        self._wire = wire
        self._tombstone_seconds = tombstone_seconds

    def open(self, key: str, stored: bytes) -> StoredResponse:
        """The response in these bytes; raises Malformed unless they were made for this key."""
        return self._wire.unpack(stored, key)

    def keep(self, response: StoredResponse, stored: bytes, seconds: float) -> Written:
        """Keep a response for so long, unless one at least as new is there or it was retracted."""
        done = self._connection.call(
            "ma3_response_keep", (response.key, tombstone_of(response.key)), response.version,
            max(1, int(seconds * 1000)), stored,
        )  # fmt: skip
        return Written(done)

    def retract(self, response: StoredResponse) -> bool:
        """Take a content back and let nobody keep it again; whether it was still there."""
        done = self._connection.call(
            "ma3_response_retract", (response.key, tombstone_of(response.key)),
            response.fingerprint, self._tombstone_seconds,
        )  # fmt: skip
        return bool(done)


def tombstone_of(key: str) -> str:
    """Where the retracted contents of a response are."""
    return RETRACTED + key.removeprefix(PREFIX)
