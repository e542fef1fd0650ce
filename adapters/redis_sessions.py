"""What the request path reads of sessions: copies of recent ones, and whose a session is.

`session:<id>` has the last turns and the summary, which is what an answer needs, and
`session_history:<id>` all turns: JSON with a TTL, compressed where it is long; losing one costs a
read of DynamoDB. Copies of one session may be written in any order: one of an older revision never
replaces one of a newer. `session_owner:<id>` is claimed by the request path, and renewed or put
right here.
"""

from collections.abc import Sequence

import msgspec
import zstandard

from adapters.redis_connection import RedisConnection
from adapters.redis_errors import translated
from domain.errors import Malformed
from domain.sessions import Session, Turn

COMPRESSED_BYTES = 2048
"""What is longer is compressed: zstd at level 1 makes a fifth of it in 10 to 20 µs."""
MAX_HISTORY_BYTES = 1024 * 1024

# The revision is the first number of a value, compressed or not.
_REPLACE = """
local stored = redis.pcall('GET', KEYS[1])
if type(stored) == 'string' then
  local revision = tonumber(string.match(stored, '^[^%d]*(%d+)'))
  if revision and revision > tonumber(ARGV[2]) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
return 1
"""


_OWNER = "session_owner:"


def session_copy_key(session_id: str) -> str:
    """Where the last turns of a session are."""
    return f"session:{session_id}"


def session_history_key(session_id: str) -> str:
    """Where all turns of a session are."""
    return f"session_history:{session_id}"


class _Copy(msgspec.Struct, frozen=True, kw_only=True):
    revision: int
    session_id: str
    owner: str
    turns: Sequence[Turn]
    summary: str = ""
    summarised_through: str = ""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Copy).decode


class RedisSessions:
    """Implements `domain.ports.SessionCopies`."""

    def __init__(
        self,
        connection: RedisConnection,
        *,
        copy_seconds: int,
        history_seconds: int,
        owner_seconds: int,
    ) -> None:
        self._redis = connection.client
        self._copy_seconds = copy_seconds
        self._history_seconds = history_seconds
        self._owner_seconds = owner_seconds

    def put(self, sessions: Sequence[Session]) -> None:
        """Replace copies of older revisions, and renew whose the sessions are."""
        pipeline = self._redis.pipeline(transaction=False)
        for session in sessions:
            pipeline.eval(
                _REPLACE, 1, session_copy_key(session.session_id), encode_copy(session),
                session.revision, self._copy_seconds,
            )  # fmt: skip
            pipeline.eval(
                _REPLACE, 1, session_history_key(session.session_id), encode_history(session),
                session.revision, self._history_seconds,
            )  # fmt: skip
            pipeline.set(_OWNER + session.session_id, session.owner, ex=self._owner_seconds)
        with translated():
            pipeline.execute()

    def restore_owner(self, session_id: str, owner: str) -> None:
        """Make the request path take the session for this owner's."""
        with translated():
            self._redis.set(_OWNER + session_id, owner, ex=self._owner_seconds)


def encode_copy(session: Session) -> bytes:
    """The last turns and the summary as they are stored, turns by time."""
    return _packed(session.last())


def encode_history(session: Session) -> bytes:
    """All turns and the summary as they are stored, turns by time."""
    return _packed(session)


def decode_copy(stored: bytes) -> Session:
    """The session in a stored value; raises Malformed."""
    try:
        copy = _decode(_plain(stored))
        _require_revision(stored, copy.revision)
    except (msgspec.DecodeError, zstandard.ZstdError, ValueError, RecursionError) as error:
        raise Malformed("the copy of a session cannot be read") from error
    turns = {turn.event_id: turn for turn in copy.turns}
    return Session(
        copy.session_id,
        copy.owner,
        turns,
        copy.summary,
        copy.summarised_through,
        revision=copy.revision,
    )


def _packed(session: Session) -> bytes:
    plain = _encode(
        _Copy(
            revision=session.revision,
            session_id=session.session_id,
            owner=session.owner,
            turns=session.in_order(),
            summary=session.summary,
            summarised_through=session.summarised_through,
        )
    )
    if len(plain) < COMPRESSED_BYTES:
        return plain
    return b"zstd %d " % session.revision + zstandard.ZstdCompressor(level=1).compress(plain)


def _plain(stored: bytes) -> bytes:
    if not stored.startswith(b"zstd "):
        return stored
    compressed = stored.split(b" ", 2)[-1]
    if zstandard.frame_content_size(compressed) > MAX_HISTORY_BYTES:
        raise ValueError("too long")
    return zstandard.ZstdDecompressor().decompress(compressed, max_output_size=MAX_HISTORY_BYTES)


def _require_revision(stored: bytes, revision: int) -> None:
    """Raises ValueError where a compressed value says another revision outside than inside."""
    if stored.startswith(b"zstd ") and int(stored.split(b" ", 2)[1]) != revision:
        raise ValueError("two revisions")
