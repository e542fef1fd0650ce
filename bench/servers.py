"""The servers of the hit path: how each is started, what it is asked, and what it must answer.

Each is one process on the server's core; all serve the same stored answer from the same Valkey.
"""

import os
import shutil
import string
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.processes import HOST, Child, Processes, answers_ok, free_port, wait_for
from bench.stack import Sqs, Valkey
from bench.stored import PLAIN_KEY

BASELINES = Path(__file__).parent / "baselines"

OURS = "MangaAssist"
OURS_REPEATED = "MangaAssist, repeated questions"
FLOOR = "raw ASGI + multiplexed GET (floor)"
FASTAPI = "FastAPI + redis-py GET"
OBVIOUS = "FastAPI + redis-py GET + 4 apply_async"
NGINX = "nginx + Lua + Redis GET"

_MODULE_DIRECTORIES = (
    "/usr/lib/nginx/modules",
    "/usr/lib64/nginx/modules",
    "/usr/share/nginx/modules",
)


class NotInstalledError(RuntimeError):
    """A server to compare with is not on this machine; the message says what is missing."""


Check = Callable[[bytes, bytes], str | None]
"""Takes a response's head and body; what is wrong with them, DEGRADED, or None."""

DEGRADED = "degraded"
"""The right answer from the process's own memory, because Redis took longer than its budget."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request as it goes out, and the check of its response."""

    request: bytes
    check: Check


@dataclass(frozen=True, slots=True)
class Effects:
    """What every answered request must have caused, counted where it arrives."""

    per_request: int
    count: Callable[[], int]
    forget: Callable[[], None]
    """Frees what was caused so far; the count goes on."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server and the exchanges that the generator takes turns with."""

    name: str
    child: Child
    port: int
    exchanges: Sequence[Exchange]
    effects: Effects | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where servers run and what they talk to."""

    processes: Processes
    cores: frozenset[int]
    other_cores: frozenset[int]
    valkey: Valkey
    sqs: Sqs
    body: bytes


def http_get(path: str) -> bytes:
    """A GET as every client here sends it."""
    return f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()


def http_post(path: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """A POST of JSON."""
    lines = {
        "Host": HOST,
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **(headers or {}),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def serves(body: bytes) -> Check:
    """The check for a server that sends the stored JSON as it is."""

    def check(head: bytes, got: bytes) -> str | None:
        if not head.startswith(b"HTTP/1.1 200 "):
            return f"status line {head[:40]!r}"
        return None if got == body else f"a wrong body of {len(got)} bytes"

    return check


def start_floor(place: Place) -> list[Server]:
    """Raw ASGI on uvicorn and one multiplexed connection: what any Python server pays at least."""
    port = free_port()
    arguments = [sys.executable, "-m", "bench.floor_asgi", str(port), place.valkey.url, PLAIN_KEY]
    child = place.processes.start("floor", arguments, place.cores)
    wait_for(child, lambda: answers_ok(f"http://{HOST}:{port}/"))
    return [Server(FLOOR, child, port, [Exchange(http_get("/"), serves(place.body))])]


def start_fastapi(place: Place) -> list[Server]:
    """FastAPI and redis-py: GET of the answer alone."""
    exchange = Exchange(http_get("/answer"), serves(place.body))
    return _start_uvicorn(place, _Uvicorn(FASTAPI, "fastapi_get", exchange))


def start_obvious(place: Place) -> list[Server]:
    """FastAPI, redis-py GET and four tasks for each question, on stock Celery."""
    url = place.sqs.client().create_queue(QueueName="bench-stock")["QueueUrl"]
    question = '{"session_id":"bench-session","message":"what\'s popular this week"}'
    exchange = Exchange(http_post("/v1/chat", question.encode()), serves(place.body))
    environment = {**place.sqs.environment, "BENCH_STOCK_QUEUE_URL": url}
    effects = Effects(4, lambda: place.sqs.calls().get("SendMessage", 0), lambda: None)
    return _start_uvicorn(
        place, _Uvicorn(OBVIOUS, "fastapi_obvious", exchange, environment, effects)
    )


@dataclass(frozen=True, slots=True)
class _Uvicorn:
    name: str
    module: str
    exchange: Exchange
    environment: Mapping[str, str] = field(default_factory=dict)
    effects: Effects | None = None


def _start_uvicorn(place: Place, what: _Uvicorn) -> list[Server]:
    port = free_port()
    arguments = [
        *(sys.executable, "-m", "uvicorn", f"bench.baselines.{what.module}:app"),
        *("--host", HOST, "--port", str(port)),
        *("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"),
    ]
    settings = {"BENCH_REDIS_URL": place.valkey.url, "BENCH_KEY": PLAIN_KEY, **what.environment}
    child = place.processes.start(what.module, arguments, place.cores, settings)
    wait_for(child, lambda: answers_ok(f"http://{HOST}:{port}/openapi.json"))
    return [Server(what.name, child, port, [what.exchange], what.effects)]


@dataclass(frozen=True, slots=True)
class Nginx:
    """An nginx that can run Lua."""

    binary: str
    modules: Path

    def version(self) -> str:
        """What it calls itself."""
        printed = subprocess.run(
            [self.binary, "-v"], capture_output=True, text=True, check=True
        ).stderr
        return printed.partition("nginx/")[2].split()[0]


def find_nginx() -> Nginx:
    """The installed nginx with its Lua module; raises NotInstalledError."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
    binary = shutil.which("nginx", path=path)
    if binary is None:
        raise NotInstalledError("nginx is not installed")
    for directory in map(Path, _MODULE_DIRECTORIES):
        if (directory / "ngx_http_lua_module.so").is_file():
            return Nginx(binary, directory)
    raise NotInstalledError("nginx has no Lua module (Debian: libnginx-mod-http-lua)")


def start_nginx(place: Place) -> list[Server]:
    """nginx, Lua and a Redis GET; raises NotInstalledError."""
    nginx = find_nginx()
    port = free_port()
    prefix = place.processes.directory / "nginx"
    prefix.mkdir()
    template = string.Template((BASELINES / "nginx.conf").read_text())
    configuration = prefix / "nginx.conf"
    configuration.write_text(
        template.substitute(
            modules=nginx.modules,
            prefix=prefix,
            port=port,
            redis_port=place.valkey.port,
            key=PLAIN_KEY,
        )
    )
    arguments = [nginx.binary, "-p", str(prefix), "-c", str(configuration), "-e", "stderr"]
    tried = subprocess.run([*arguments, "-t"], capture_output=True, text=True, check=False)
    if tried.returncode:
        raise NotInstalledError(f"nginx cannot run the Lua baseline: {tried.stderr.strip()[:300]}")
    child = place.processes.start("nginx", arguments, place.cores)
    wait_for(child, lambda: answers_ok(f"http://{HOST}:{port}/answer"))
    exchange = Exchange(http_get("/answer"), serves(place.body))
    return [Server(NGINX, child, port, [exchange])]
