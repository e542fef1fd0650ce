"""Where long work has got to, in Redis: `bookmark:<name>`, which expires when nobody goes on."""

from adapters.redis_connection import RedisConnection
from adapters.redis_errors import translated

KEPT_SECONDS = 86_400


class RedisBookmarks:
    """Implements `domain.ports.Bookmarks`."""

    def __init__(self, connection: RedisConnection) -> None:
        self._redis = connection.client

    def get(self, name: str) -> str | None:
        """Where it has got to; None where it has not begun."""
        with translated():
            found = self._redis.get(_key(name))
        return found.decode() if found else None

    def put(self, name: str, place: str) -> None:
        """Remember the place."""
        with translated():
            self._redis.set(_key(name), place, ex=KEPT_SECONDS)

    def remove(self, name: str) -> None:
        """Forget it: the work is done."""
        with translated():
            self._redis.delete(_key(name))


def _key(name: str) -> str:
    return f"bookmark:{name}"
