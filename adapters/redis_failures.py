"""How messages failed last, in Redis: `last_failure:<message id>`, which expires by itself.

At best: whatever Redis says, nothing is raised, because no job may fail over its own history.
"""

import logging

import msgspec

from adapters.redis_connection import RedisConnection
from adapters.redis_errors import translated
from domain.errors import MangaAssistError
from domain.parking import MAX_LINE
from domain.ports import Failure

logger = logging.getLogger(__name__)

KEPT_SECONDS = 15 * 86_400
"""A day longer than SQS keeps a dead letter."""

_decode = msgspec.msgpack.Decoder(Failure).decode
_encode = msgspec.msgpack.Encoder().encode


class RedisFailures:
    """Implements `domain.ports.LastFailures`."""

    def __init__(self, connection: RedisConnection) -> None:
        self._redis = connection.client

    def note(self, message_id: str, failure: Failure) -> None:
        """Remember how a message failed last."""
        kept = Failure(failure.at, failure.line[:MAX_LINE])
        try:
            with translated():
                self._redis.set(_key(message_id), _encode(kept), ex=KEPT_SECONDS)
        except MangaAssistError as error:
            logger.info("the failure of message %s is not noted: %s", message_id, error)

    def of(self, message_id: str) -> Failure | None:
        """How the message failed last, or None where that is not known."""
        try:
            with translated():
                found = self._redis.get(_key(message_id))
            return _decode(found) if found else None
        except (MangaAssistError, msgspec.MsgspecError) as error:
            logger.info("the failure of message %s can't be read: %s", message_id, error)
            return None


def _key(message_id: str) -> str:
    return f"last_failure:{message_id}"
