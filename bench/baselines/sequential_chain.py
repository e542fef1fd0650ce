"""A question as a chain of calls, one after the other, each over a connection of its own.

`python -m bench.baselines.sequential_chain REDIS_URL SERVICES_PORT THREADS` reads questions, one a
line, and prints for each, as JSON, how many seconds every segment took. What is computed in the
process is slept for; a question whose answer is in the cache ends after the look-up.
"""

import hashlib
import http.client
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import redis

from bench.injected import BEFORE
from bench.processes import HOST

CALLED = ("session", "search", "prompt", "model", "guardrails")
CACHE_SECONDS = 3600


class Chain:
    """One request at a time; makes its connections anew."""

    def __init__(self, redis_url: str, services_port: int) -> None:
        self._redis_url = redis_url
        self._port = services_port

    def ask(self, question: str) -> dict[str, float]:
        """Answer a question; the seconds of each segment."""
        seconds: dict[str, float] = {}
        for segment in ("edge", "routing", "classify"):
            _compute(segment, seconds)
        key = f"chain:{hashlib.sha256(question.encode()).hexdigest()}"
        with _timed("cache check", seconds):
            hit = self._redis("GET", key, "cache check")
        if not hit:
            for segment in CALLED:
                (_compute if segment == "prompt" else self._call)(segment, seconds)
            with _timed("cache write", seconds):
                self._redis("SET", key, "cache write")
            self._call("session update", seconds)
        for segment in ("format", "send"):
            _compute(segment, seconds)
        return seconds

    def _call(self, segment: str, seconds: dict[str, float]) -> None:
        with _timed(segment, seconds):
            connection = http.client.HTTPConnection(HOST, self._port, timeout=10)
            connection.request("POST", f"/{BEFORE[segment]:g}", b"{}")
            connection.getresponse().read()
            connection.close()

    def _redis(self, command: str, key: str, segment: str) -> bool:
        """Over a new connection to a Redis that is as far away as the segment says."""
        time.sleep(BEFORE[segment] / 1000)
        with redis.Redis.from_url(self._redis_url, single_connection_client=True) as client:
            if command == "GET":
                return client.get(key) is not None
            return bool(client.set(key, b"an answer", ex=CACHE_SECONDS))


def _compute(segment: str, seconds: dict[str, float]) -> None:
    with _timed(segment, seconds):
        time.sleep(BEFORE[segment] / 1000)


@contextmanager
def _timed(segment: str, seconds: dict[str, float]) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[segment] = time.perf_counter() - started


def main() -> None:
    """Answer all questions of the standard input."""
    redis_url, port, threads = sys.argv[1:]
    chain = Chain(redis_url, int(port))
    questions = [line.rstrip("\n") for line in sys.stdin]
    with ThreadPoolExecutor(int(threads)) as pool:
        for seconds in pool.map(chain.ask, questions):
            print(json.dumps(seconds))


if __name__ == "__main__":
    main()
