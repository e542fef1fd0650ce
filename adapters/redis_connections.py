"""The connections that API Gateway holds, in Redis, so that any process may answer any message.

`ws:<connection>` is JSON, `ws_sent:<connection>` counts messages in a window, `ws_user:<user>` is
the set of a user's connections by when they end. All expire with the connection's longest life.
`ws_left:<connection>` exists for a while once it has ended.
"""

from collections.abc import Sequence

import msgspec

from adapters.redis_kept import KeptRedis
from adapters.redis_multiplexed import pack
from domain.connections import HeldConnection
from domain.errors import Malformed
from domain.ports import Clock

LIFE_SECONDS = 2 * 3600
"""API Gateway's limit."""
LEFT_SECONDS = 60
"""Longer than an answer is made."""

# Returns 0 where the user has as many connections as allowed. Repeating it changes nothing.
_KEEP = """
if ARGV[3] ~= '' then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[5])
  local others = redis.call('ZCARD', KEYS[2])
  if redis.call('ZSCORE', KEYS[2], ARGV[4]) then others = others - 1 end
  if others >= tonumber(ARGV[6]) then return 0 end
  redis.call('ZADD', KEYS[2], ARGV[5] + ARGV[2], ARGV[4])
  redis.call('EXPIRE', KEYS[2], ARGV[2])
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
"""

_TAKE = """
local sent = redis.call('INCR', KEYS[2])
if sent == 1 then redis.call('PEXPIRE', KEYS[2], ARGV[1]) end
return {redis.call('GET', KEYS[1]), sent}
"""

_FORGET = """
redis.call('SET', KEYS[2], '', 'EX', ARGV[3])
local stored = redis.call('GET', KEYS[1])
if not stored then return 0 end
local readable, held = pcall(cjson.decode, stored)
if readable and type(held.user) == 'string' then
  redis.call('ZREM', ARGV[1] .. held.user, ARGV[2])
end
return redis.call('DEL', KEYS[1])
"""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(HeldConnection).decode


class RedisConnections:
    """The connections by their ids; every method raises Transient."""

    def __init__(
        self, redis: KeptRedis, *, of_user: int, window_seconds: float, clock: Clock
    ) -> None:
        self._redis = redis
        self._of_user = of_user
        self._window_ms = int(window_seconds * 1000)
        self._clock = clock

    async def keep(self, connection_id: str, held: HeldConnection, seconds: float) -> bool:
        """Remember what is known of a connection; False where the user has too many."""
        user = held.user or ""
        command = pack(
            "EVAL", _KEEP, 2, _key(connection_id), f"ws_user:{user}", _encode(held), LIFE_SECONDS,
            user, connection_id, repr(self._clock()), self._of_user,
        )  # fmt: skip
        return await self._redis.ask(command, seconds) == 1

    async def take(self, connection_id: str, seconds: float) -> tuple[HeldConnection | None, int]:
        """What is known of a connection, and how many messages it sent within the window."""
        keys = (_key(connection_id), f"ws_sent:{connection_id}")
        match await self._redis.ask(pack("EVAL", _TAKE, 2, *keys, self._window_ms), seconds):
            case [bytes(stored), int(sent)]:
                return _held(stored), sent
            case [_, int(sent)]:
                return None, sent
        return None, 0

    async def forget(self, connection_id: str, seconds: float) -> None:
        """The connection has ended."""
        command = pack(
            "EVAL", _FORGET, 2, _key(connection_id), _left(connection_id), "ws_user:",
            connection_id, LEFT_SECONDS,
        )  # fmt: skip
        await self._redis.ask(command, seconds)

    async def left(self, connection_ids: Sequence[str], seconds: float) -> Sequence[str]:
        """Those of these connections that have ended lately."""
        match await self._redis.ask(pack("MGET", *map(_left, connection_ids)), seconds):
            case [*marks]:
                marked = zip(connection_ids, marks, strict=False)
                return [one for one, mark in marked if isinstance(mark, bytes)]
        return []


def _key(connection_id: str) -> str:
    return f"ws:{connection_id}"


def _left(connection_id: str) -> str:
    return f"ws_left:{connection_id}"


def _held(stored: bytes) -> HeldConnection:
    try:
        return _decode(stored)
    except (msgspec.DecodeError, ValueError) as error:
        raise Malformed("what is known of a connection cannot be read") from error
