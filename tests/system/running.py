"""An embedded stack as an outsider sees it: the command, its output, its HTTP interface."""

import contextlib
import json
import os
import queue
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import boto3
import redis

COMMAND = Path(sys.executable).with_name("mangaassist")
READY_SECONDS = STOP_SECONDS = EVENTUALLY_SECONDS = 120.0
"""What only a failing test waits, however busy the machine is."""
DEPTHS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)

TRENDING = "what's popular this week"

Found = TypeVar("Found")


def run(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    return subprocess.run(
        [COMMAND, *arguments],
        env=_environment(variables),
        capture_output=True,
        text=True,
        timeout=READY_SECONDS,
        check=False,
    )


@dataclass(frozen=True)
class Reply:
    """An HTTP reply; `body` is decoded JSON, or nothing."""

    status: int
    body: Any


class Stack:
    """A running `mangaassist up`."""

    def __init__(self, data_dir: Path, *arguments: str | Path, **variables: str) -> None:
        self.data_dir = data_dir
        self.lines: list[str] = []
        self._tokens: dict[tuple[str, str], str] = {}
        self._fresh: queue.Queue[str | None] = queue.Queue()
        self.process = subprocess.Popen(
            [COMMAND, "up", "--port", "0", "--no-browser", "--data-dir", data_dir, *arguments],
            env=_environment(variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                self._fresh.put(line.rstrip("\n"))
        self._fresh.put(None)

    def until_line(self, pattern: str, seconds: float = READY_SECONDS) -> str:
        """The next line of the output that matches; lines before it are passed over."""
        deadline = monotonic() + seconds
        while True:
            try:
                line = self._fresh.get(timeout=max(0.0, deadline - monotonic()))
            except queue.Empty:
                raise AssertionError(f"no line {pattern!r} in time: {self.lines}") from None
            assert line is not None, f"the output ended without {pattern!r}: {self.lines}"
            self.lines.append(line)
            if re.search(pattern, line):
                return line

    def until_ready(self) -> "Stack":
        """Wait for the line that says so."""
        line = self.until_line(r"^ready ")
        assert line == f"ready {self.endpoints()['http']}"
        return self

    def endpoints(self) -> dict[str, Any]:
        """The file that says what runs where."""
        found: dict[str, Any] = json.loads((self.data_dir / "endpoints.json").read_text())
        return found

    @property
    def http(self) -> str:
        """Where the request path is."""
        return str(self.endpoints()["http"])

    def aws(self, service: str) -> dict[str, Any]:
        """The arguments of a boto3 client of an emulated service."""
        return {
            "endpoint_url": self.endpoints()["aws"][service],
            "region_name": "ap-northeast-1",
            "aws_access_key_id": "test",
            "aws_secret_access_key": "test",
        }

    def pid(self, name: str) -> int:
        """The process of one child."""
        return self.pids()[name]

    def pids(self) -> dict[str, int]:
        """The process of each child."""
        pids = self.endpoints()["pids"]
        return {name: pid[0] if isinstance(pid, list) else pid for name, pid in pids.items()}

    def request(self, method: str, path: str, document: object = None, token: str = "") -> Reply:
        """One HTTP request; status 0 where nobody answers."""
        return call(method, self.http + path, document, token)

    def ask(self, message: str, session: str = "s", token: str = "", **more: str) -> Reply:
        """One question."""
        body = {"session_id": session, "message": message, **more}
        return self.request("POST", "/v1/chat", body, token)

    def asked_until(self, source: str, message: str, **more: str) -> Reply:
        """The question's answer from there; one that came late on a busy machine is another's."""
        return eventually(
            lambda: self.ask(message, **more),
            lambda reply: reply.status == 200 and reply.body["source"] == source,
        )

    def token(self, user: str, scope: str = "") -> str:
        """A bearer token of the stack's own making, made once."""
        if (user, scope) not in self._tokens:
            options = ["--scope", scope] if scope else []
            self._tokens[user, scope] = self.cli("token", "--user", user, *options).strip()
        return self._tokens[user, scope]

    def cli(self, *arguments: str | Path) -> str:
        """The output of an operator's command, which must succeed."""
        done = run(*arguments, "--data-dir", self.data_dir)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def settle(self, name: str, seconds: float) -> None:
        """Wait until every event so far has left the spool, the outbox and this queue."""
        # Where Redis was late on a busy machine an event is in the spool alone.
        spool = self.data_dir / "state" / "spool"
        eventually(lambda: list(spool.glob("*.wal")), lambda found: not found, seconds)
        with redis.Redis.from_url(self.endpoints()["redis"]) as outbox:
            eventually(lambda: int(outbox.xlen("outbox:0")), lambda depth: depth == 0, seconds)
        sqs = boto3.client("sqs", **self.aws("sqs"))
        url = sqs.get_queue_url(QueueName=f"mangaassist-{name}")["QueueUrl"]
        eventually(
            lambda: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"],
            lambda found: all(value == "0" for name, value in found.items() if name in DEPTHS),
            seconds,
        )
        sqs.close()

    def members(self) -> list[int]:
        """Every process that has anything to do with this stack, but the supervisor."""
        return [pid for pid in processes_of(self.data_dir) if pid != self.process.pid]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it by a signal; the exit code, and nothing may be left."""
        members = self.members()
        self.process.send_signal(number)
        code = self.process.wait(STOP_SECONDS)
        until_gone(members)
        self._reader.join(STOP_SECONDS)
        return code


@contextlib.contextmanager
def running(data_dir: Path, *arguments: str | Path, **variables: str) -> Iterator[Stack]:
    """A stack for the time of a test, whatever becomes of it."""
    stack = Stack(data_dir, *arguments, **variables)
    try:
        yield stack
    finally:
        if stack.process.poll() is None:
            stack.stop()


def assert_one_line(code: int, said: str, part: str) -> None:
    """A command that could not be done says so in one line."""
    assert code == 2, said
    assert said.count("\n") == 1, said
    assert said.startswith("mangaassist: ")
    assert part in said


def call(method: str, url: str, document: object = None, token: str = "") -> Reply:
    """One HTTP request; status 0 where nobody answers."""
    data = None if document is None else json.dumps(document).encode()
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return Reply(answer.status, _decoded(answer.read()))
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error.code, _decoded(error.read()))
    except OSError:
        return Reply(0, None)


def eventually(
    look: Callable[[], Found], good: Callable[[Found], bool], seconds: float = EVENTUALLY_SECONDS
) -> Found:
    """What `look` gives as soon as it is good; across processes there is no event to wait for."""
    deadline = monotonic() + seconds
    pause = threading.Event()
    while True:
        found = look()
        if good(found):
            return found
        assert monotonic() < deadline, found
        pause.wait(0.05)


def processes_of(data_dir: Path) -> list[int]:
    """Every living process that works in this directory or was told of it."""
    found = []
    wanted = str(data_dir).encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            said = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            said += bytes((entry / "cwd").readlink())  # Valkey overwrites what it was told
            if wanted in said:
                found.append(int(entry.name))
    return found


def until_gone(pids: Sequence[int], seconds: float = STOP_SECONDS) -> None:
    """Wait for the end of processes that are not ours to wait for."""
    deadline = monotonic() + seconds
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            ended, _, _ = select.select([handle], [], [], max(0.0, deadline - monotonic()))
        finally:
            os.close(handle)
        assert ended, f"process {pid} is still there"


def listening_addresses(pids: Sequence[int]) -> set[tuple[str, int]]:
    """Where these processes listen, as the kernel says."""
    inodes = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            for handle in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    inodes.add(handle.readlink().name)
    found = set()
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        path = Path("/proc/net") / table
        for row in path.read_text().splitlines()[1:] if path.exists() else []:
            columns = row.split()
            if columns[3] == "0A" and f"socket:[{columns[9]}]" in inodes:
                address, _, port = columns[1].partition(":")
                words = bytes.fromhex(address)
                packed = b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4))
                found.add((socket.inet_ntop(family, packed), int(port, 16)))
    return found


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Ours without anybody's settings, and with a proxy that must not be used."""
    mine = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MANGAASSIST_", "AWS_"))
    }
    return {**mine, "HTTP_PROXY": "http://127.0.0.1:1", **variables}
