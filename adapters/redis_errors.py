"""What an error of Redis means for the caller: the one place where its replies are read.

Transient: no answer, and every state of the server that passes or that a person mends (loading,
failing over, out of memory, read-only, logins). Permanent: the command itself is wrong.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from domain.errors import MangaAssistError, Permanent, Transient

DEPENDENCY = "redis"
"""What a transient error names."""

PASSING = (
    "ASK",
    "BUSY",
    "CLUSTERDOWN",
    "FAILOVER",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "MOVED",
    "NOAUTH",
    "NOPERM",
    "NOREPLICAS",
    "OOM",
    "READONLY",
    "TRYAGAIN",
    "UNBLOCKED",
    "WRONGPASS",
)
"""The first words of the replies that the same command may not meet later."""


def meaning(error: redis.RedisError | OSError) -> MangaAssistError:
    """The error of ours that says what the caller may do; it quotes no data of the command."""
    if type(error) is not redis.ResponseError and not isinstance(error, redis.DataError):
        what = f"Redis does not answer: {type(error).__name__}"
        return Transient(what, dependency=DEPENDENCY)
    text = str(error)
    passing = next((word for word in PASSING if _says(text, word)), None)
    if passing:
        return Transient(f"Redis is not able to: {passing}", dependency=DEPENDENCY)
    if isinstance(error, redis.ResponseError):
        return Permanent(f"Redis refuses a command: {text.split(' ', 1)[0][:40]}")
    return Permanent("a value cannot be sent to Redis")


WRONG_TYPE = "WRONGTYPE"
"""How the reply begins where a key is not of the type that a command works on."""


@contextmanager
def translated() -> Iterator[None]:
    """Raise Transient or Permanent instead of what redis-py raises."""
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise meaning(error) from error


def _says(text: str, word: str) -> bool:
    # redis-py cuts "ERR" off, and a function's error carries the word after its own prefix.
    return text.startswith((f"{word} ", f"-{word} ")) or f" -{word} " in text
