"""The one place that makes the redis-py client, and that knows how our Redis functions get there.

Needs Redis or Valkey 7 or newer. Connects at the first command. Every method raises Transient or
Permanent. Thread-safe; make another one after a fork. The request path has its own connection.
"""

from collections.abc import Sequence
from importlib import resources
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from adapters.redis_errors import translated

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 5.0
MAX_CONNECTIONS = 16
IDLE_CHECK_SECONDS = 15

FUNCTIONS = resources.files("adapters").joinpath("redis_functions.lua").read_text("utf-8")

Argument = str | bytes | int | float


class RedisConnection:
    """The client, for adapters; `client` is for commands, `call` for our functions."""

    def __init__(self, url: str) -> None:
        self.client: Any = redis.Redis.from_url(
            url,
            protocol=2,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=ANSWER_SECONDS,
            socket_keepalive=True,
            health_check_interval=IDLE_CHECK_SECONDS,
            max_connections=MAX_CONNECTIONS,
            # One more try on a new connection, where the server had closed it or is no primary
            # any more: every command that passes here may be repeated.
            retry=Retry(NoBackoff(), 1),
            retry_on_error=[redis.exceptions.ReadOnlyError],
        )

    def call(self, function: str, keys: Sequence[str], *arguments: Argument) -> Any:
        """What a function of ours returns; loads the functions where Redis has not got them."""
        with translated():
            try:
                return self.client.fcall(function, len(keys), *keys, *arguments)
            except redis.ResponseError as error:
                # A restarted server without its files, or one that was never asked before.
                if "function not found" not in str(error).lower():
                    raise
                self._load()
                return self.client.fcall(function, len(keys), *keys, *arguments)

    def load_functions(self) -> None:
        """Load the functions; that other processes do so as well changes nothing."""
        with translated():
            self._load()

    def ping(self) -> None:
        """Raise Transient unless Redis answers."""
        with translated():
            self.client.ping()

    def close(self) -> None:
        """Close every connection."""
        self.client.close()

    def _load(self) -> None:
        self.client.function_load(FUNCTIONS, replace=True)
