"""A process of clients who ask one question at once, for tests and benchmarks: the real response
cache over a real Redis, and a model that counts in Redis how often it is asked.

    python -m tests.integration.serving.response_app REDIS_URL CLIENTS QUESTION MODEL_SECONDS [FATE]

Says `ready`, waits for a line, asks, and says as JSON what became of each client. FATE is `fail`
(the model fails), or `die` (the process does, while the model thinks).
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence

import msgspec
import redis.asyncio

from adapters.msgpack_wire import encode_event
from adapters.prometheus_metrics import Metrics
from adapters.redis_kept import KeptRedis
from adapters.response_wire import ResponseWire
from config import response_cache
from domain.errors import Transient
from domain.response_cache import PUBLIC, Asked, Generated
from serving.flights import Emit
from serving.outbox import DrySink, Producer
from serving.response_cache import Given, ResponseCache, over_redis
from tests import unhurried

CALLS = "model_calls"
PIECES = ("『美味", "しい本』", "はいかが", "ですか。")
PATIENCE_SECONDS = 30.0
LEASE_SECONDS = 60


class Model:
    """Takes its time and counts its calls; `fate` is what becomes of it."""

    def __init__(self, url: str, seconds: float, fate: str) -> None:
        self._redis = redis.asyncio.Redis.from_url(url)
        self._seconds = seconds
        self._fate = fate

    async def __call__(self, emit: Emit) -> Generated:
        """The answer, in pieces."""
        await self._redis.incr(CALLS)
        for piece in PIECES:
            emit(piece)
            await asyncio.sleep(self._seconds / len(PIECES))
        if self._fate == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if self._fate == "fail":
            raise Transient("the model is throttled")
        return Generated("".join(PIECES), [{"id": "t1"}])

    async def close(self) -> None:
        """Close its connection."""
        await self._redis.aclose()


def cache_over(bulk: KeptRedis) -> ResponseCache:
    """The cache as a serving process puts it together; what it waits for may take its time."""
    table = msgspec.structs.replace(
        response_cache.declared(), lease_seconds=LEASE_SECONDS, failing_seconds=LEASE_SECONDS
    )
    return over_redis(
        bulk,
        shards=1,
        wire=ResponseWire("secret", compress_bytes=table.compress_bytes),
        sink=DrySink(),
        producer=Producer(f"response-app-{os.getpid()}", encode_event),
        registry=Metrics(),
        clock=time.time,
        table=table,
    )


async def ask(cache: ResponseCache, model: Model, question: str) -> tuple[Given | None, str]:
    """One client: the response, and what was streamed to it."""
    asked = Asked(
        scope=PUBLIC, locale="ja", kind="chat", question=question, model="m", prompt_version="1",
        catalogue="c",
    )  # fmt: skip
    heard: list[str] = []
    given = await cache.answer(asked, model, PATIENCE_SECONDS, heard.append)
    return given, "".join(heard)


async def main(url: str, clients: int, question: str, seconds: float, fate: str) -> None:
    unhurried.stores()
    bulk, model = KeptRedis(url, name="response-app"), Model(url, seconds, fate)
    bulk.start()
    while not bulk.up:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.01)
    cache = cache_over(bulk)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    started = time.perf_counter()
    outcomes = await asyncio.gather(*(ask(cache, model, question) for _ in range(clients)))
    print(json.dumps(told(outcomes) | {"seconds": time.perf_counter() - started}), flush=True)
    await cache.close()
    await model.close()
    await bulk.close()


def told(outcomes: Sequence[tuple[Given | None, str]]) -> dict[str, object]:
    """How many clients got which text from where, and how many heard just that text."""
    return {
        "texts": Counter(given.response.text() for given, _ in outcomes if given),
        "sources": Counter(given.source if given else "nothing" for given, _ in outcomes),
        "heard": sum(given is not None and given.response.text() == h for given, h in outcomes),
    }


if __name__ == "__main__":
    address, number, asked_for, took, *rest = sys.argv[1:]
    asyncio.run(main(address, int(number), asked_for, float(took), rest[0] if rest else ""))
