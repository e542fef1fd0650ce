"""Clients of one process who ask for the same at once, through the cache of another library.

    python stampede_clients.py LIBRARY REDIS_URL CLIENTS MODEL_SECONDS

Run by the Python of its own environment. Says `ready`, waits for a line, asks, and says as JSON how
many clients got the answer.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any, cast
from urllib.parse import urlsplit

from redis.asyncio import Redis

CALLS = "model_calls"
ANSWER = "the answer"
TTL_SECONDS = 3600
LEASE_SECONDS = 30

Ask = Callable[[], Awaitable[str]]


def with_aiocache(url: str, model: Ask, *, stampede: bool) -> Ask:
    """aiocache's decorator, or the one that it offers against stampedes."""
    aiocache: Any = import_module("aiocache")
    where = urlsplit(url)
    options = {
        "cache": aiocache.Cache.REDIS,
        "endpoint": where.hostname,
        "port": where.port,
        "ttl": TTL_SECONDS,
        "key": "answer",
    }
    if stampede:
        return cast("Ask", aiocache.cached_stampede(lease=LEASE_SECONDS, **options)(model))
    return cast("Ask", aiocache.cached(**options)(model))


def with_cashews(url: str, model: Ask, *, lock: bool) -> Ask:
    """cashews' decorator, which protects within a process, or with its lock as well."""
    cache: Any = import_module("cashews").cache
    cache.setup(url)
    return cast("Ask", cache(ttl=TTL_SECONDS, key="answer", lock=lock)(model))


LIBRARIES: dict[str, Callable[[str, Ask], Ask]] = {
    "aiocache": lambda url, model: with_aiocache(url, model, stampede=False),
    "aiocache-stampede": lambda url, model: with_aiocache(url, model, stampede=True),
    "cashews": lambda url, model: with_cashews(url, model, lock=False),
    "cashews-lock": lambda url, model: with_cashews(url, model, lock=True),
}


async def main(library: str, url: str, clients: int, seconds: float) -> None:
    """Ask at the signal."""
    redis = Redis.from_url(url)

    async def model() -> str:
        await redis.incr(CALLS)
        await asyncio.sleep(seconds)
        return ANSWER

    ask = LIBRARIES[library](url, model)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    started = time.perf_counter()
    answers = await asyncio.gather(*(ask() for _ in range(clients)), return_exceptions=True)
    took = time.perf_counter() - started
    told = Counter("answered" if answer == ANSWER else "failed" for answer in answers)
    print(json.dumps({**told, "seconds": took}), flush=True)
    await redis.aclose()


if __name__ == "__main__":
    name, address, number, thinks = sys.argv[1:]
    asyncio.run(main(name, address, int(number), float(thinks)))
