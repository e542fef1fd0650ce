"""What the request path reads of sessions: copies of recent ones, and whose a session is.

A copy is `session:<id>`, JSON with a TTL; losing one costs a read of DynamoDB. Copies of one
session may be written in any order: a copy with fewer or older turns never replaces one with more
or newer ones. `session_owner:<id>` is claimed by the request path, and renewed or put right here.
"""

from collections.abc import Sequence

import msgspec

from adapters.redis_connection import RedisConnection
from adapters.redis_errors import translated
from domain.errors import Malformed
from domain.sessions import Session, Turn

# A session only ever gains turns and drops its oldest, so that the sum of their times grows.
_REPLACE = """
local stored = redis.pcall('GET', KEYS[1])
if type(stored) == 'string' then
  local newness = tonumber(string.match(stored, '^{"newness":([%d.eE+-]+)'))
  if newness and newness > tonumber(ARGV[2]) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
return 1
"""


_OWNER = "session_owner:"


class _Copy(msgspec.Struct, frozen=True, kw_only=True):
    newness: float
    session_id: str
    owner: str
    turns: Sequence[Turn]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Copy).decode


class RedisSessions:
    """Implements `domain.ports.SessionCopies`."""

    def __init__(
        self, connection: RedisConnection, *, copy_seconds: int, owner_seconds: int
    ) -> None:
        self._redis = connection.client
        self._copy_seconds = copy_seconds
        self._owner_seconds = owner_seconds

    def put(self, sessions: Sequence[Session]) -> None:
        """Replace the copies, and renew whose the sessions are."""
        pipeline = self._redis.pipeline(transaction=False)
        for session in sessions:
            newness = _newness(session)
            pipeline.eval(
                _REPLACE, 1, f"session:{session.session_id}", encode_copy(session), repr(newness),
                self._copy_seconds,
            )  # fmt: skip
            pipeline.set(_OWNER + session.session_id, session.owner, ex=self._owner_seconds)
        with translated():
            pipeline.execute()

    def restore_owner(self, session_id: str, owner: str) -> None:
        """Make the request path take the session for this owner's."""
        with translated():
            self._redis.set(_OWNER + session_id, owner, ex=self._owner_seconds)


def encode_copy(session: Session) -> bytes:
    """The copy as it is stored, turns by time."""
    return _encode(
        _Copy(
            newness=_newness(session),
            session_id=session.session_id,
            owner=session.owner,
            turns=session.in_order(),
        )
    )


def decode_copy(stored: bytes) -> Session:
    """The session in a stored copy; raises Malformed."""
    try:
        copy = _decode(stored)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Malformed("the copy of a session cannot be read") from error
    return Session(copy.session_id, copy.owner, {turn.event_id: turn for turn in copy.turns})


def _newness(session: Session) -> float:
    return round(sum(turn.at for turn in session.in_order()), 3)
