"""The floor: raw ASGI on uvicorn, one GET over the multiplexed connection, the value as it is.

    python -m bench.floor_asgi PORT REDIS_URL KEY

No validation, token, question, event or metrics: what is left is HTTP, the loop and one trip.
"""

import sys

import uvicorn
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

from adapters.redis_kept import KeptRedis
from adapters.redis_multiplexed import pack


class Floor:
    """The application."""

    def __init__(self, url: str, key: str) -> None:
        self._redis = KeptRedis(url, name="floor")
        self._get = pack("GET", key)

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        if scope["type"] == "lifespan":
            await receive()
            self._redis.start()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self._redis.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
        value = await self._redis.ask(self._get, 1.0)
        body = value if isinstance(value, bytes) else b""
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [
                    (b"content-type", b"application/json"),
                    (b"content-length", b"%d" % len(body)),
                ],
            }
        )
        await send({"type": "http.response.body", "body": body, "more_body": False})


def main() -> None:
    """Serve."""
    port, url, key = sys.argv[1:]
    uvicorn.run(
        Floor(url, key),
        port=int(port),
        loop="uvloop",
        http="httptools",
        ws="none",
        log_level="warning",
        access_log=False,
    )


if __name__ == "__main__":
    main()
