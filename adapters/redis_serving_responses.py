"""The response cache as the request path uses it, over its shared connection.

One function call each: `ma3_response_claim`, `…_share`, `…_release`, `…_drop` and `…_tally` say in
`redis_functions.lua` what they do. Every method raises Transient.
"""

from dataclasses import dataclass
from enum import Enum

from adapters.redis_kept import KeptRedis
from adapters.redis_multiplexed import NotDone, Reply, Unknown, bytes_in, pack
from adapters.redis_responses import tombstone_of
from adapters.redis_serving_events import Outboxes
from domain.ports import Written
from domain.response_cache import PREFIX, StoredResponse

_TALLY = "response_tally"


class Claim(Enum):
    """Why the caller does not make a response that is not there."""

    ANOTHERS = 2
    FAILING = 3
    """Nobody: its computation has just failed."""


@dataclass(frozen=True, slots=True)
class Mine:
    """The caller makes it; a content with one of these fingerprints was retracted."""

    banned: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class Shared:
    """What became of a new response, and why its event is not in the outbox."""

    written: Written
    unwritten: NotDone | None


class ServingResponses:
    """The store of responses; `bulk` is the connection for what may be large."""

    def __init__(self, bulk: KeptRedis, *, shards: int, lease_seconds: float) -> None:
        self._bulk = bulk
        self._outbox = Outboxes(shards).of
        self._lease_ms = int(lease_seconds * 1000)

    async def claim(self, key: str, token: str, known: int, seconds: float) -> bytes | Mine | Claim:
        """The response, if there is one newer than the version `known`, else who makes it."""
        reply = await self._bulk.ask(
            pack(
                "FCALL",
                "ma3_response_claim",
                3,
                key,
                _lease(key),
                tombstone_of(key),
                token,
                self._lease_ms,
                known,
            ),
            seconds,
        )
        match reply:
            case [0, bytes(stored)]:
                return stored
            case [1, *banned]:
                return Mine(frozenset(one for one in banned if isinstance(one, bytes)))
            case [int(said)] if said in _CLAIMS:
                return _CLAIMS[said]
        raise _unexpected(reply)

    async def read(self, key: str, seconds: float) -> bytes | None:
        """The response, if there is one."""
        return bytes_in(await self._bulk.ask(pack("GET", key), seconds))

    async def share(
        self,
        response: StoredResponse,
        stored: bytes,
        *,
        token: str,
        kept_seconds: float,
        event: bytes,
        seconds: float,
    ) -> Shared:
        """Give a response to those who wait for it, write the event, and end the lease."""
        key = response.key
        reply = await self._bulk.ask(
            pack(
                "FCALL", "ma3_response_share", 4, key, _lease(key), tombstone_of(key),
                self._outbox(key), token, response.version, max(1, int(kept_seconds * 1000)),
                stored, event,
            ),
            seconds,
        )  # fmt: skip
        match reply:
            case [int(written), bytes(unwritten)]:
                refusal = NotDone(unwritten.decode(errors="replace")) if unwritten else None
                return Shared(Written(written), refusal)
        raise _unexpected(reply)

    async def write(self, key: str, event: bytes, seconds: float) -> None:
        """Write an event of a response that is not kept; raises NotDone where it was not."""
        await self._bulk.ask(pack("XADD", self._outbox(key), "*", "e", event), seconds)

    async def release(self, key: str, token: str, failing_seconds: float, seconds: float) -> None:
        """Give the lease back; nobody tries again for `failing_seconds`."""
        milliseconds = int(failing_seconds * 1000)
        await self._bulk.ask(
            pack("FCALL", "ma3_response_release", 1, _lease(key), token, milliseconds), seconds
        )

    async def drop(self, key: str, damaged: bytes, seconds: float) -> None:
        """Delete a damaged response, unless it was replaced since."""
        await self._bulk.ask(pack("FCALL", "ma3_response_drop", 1, key, damaged), seconds)

    async def tally(
        self, *, is_wrong: bool, kept_seconds: float, seconds: float
    ) -> tuple[int, int]:
        """Count one comparison; how many there were, and how many were wrong."""
        command = pack("FCALL", "ma3_response_tally", 1, _TALLY, int(is_wrong), int(kept_seconds))
        return _tally(await self._bulk.ask(command, seconds))

    async def tallied(self, seconds: float) -> tuple[int, int]:
        """How many comparisons there were, and how many were wrong."""
        return _tally(await self._bulk.ask(pack("HMGET", _TALLY, "compared", "wrong"), seconds))


_CLAIMS = {claim.value: claim for claim in Claim}


def _lease(key: str) -> str:
    return f"response_lease:{key.removeprefix(PREFIX)}"


def _tally(reply: Reply) -> tuple[int, int]:
    match reply:
        case [(int() | bytes()) as compared, (int() | bytes()) as wrong]:
            return int(compared), int(wrong)
        case [None, _]:
            return 0, 0
    raise _unexpected(reply)


def _unexpected(reply: Reply) -> Unknown:
    return Unknown(f"an unexpected reply: {type(reply).__name__}")
