"""Real workers on our transport against the SQS emulator, and a wire between them to cut."""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from adapters.celery_envelope import build
from emulators.runner import RunningEmulator
from tests.ports import free_port

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

ROOT = Path(__file__).parents[2]
REGION = "ap-northeast-1"
POLL_SECONDS = 2
STOP_SECONDS = 90.0
BUSY_SECONDS = 60.0
GRACE_SECONDS = 30.0
"""So long may an answer of SQS be late. A receive that is given up loses its messages until they
are visible again, and one of the receives that they are allowed."""
HEARTBEAT_STEP_SECONDS = 2.0
"""Less than the shortest time for which a message is hidden here."""


def eventually(check: Callable[[], object], seconds: float, what: str) -> None:
    """Wait for what others do; `seconds` are those of a machine with little else to do."""
    deadline = time.monotonic() + seconds + BUSY_SECONDS
    while not check():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def is_steady(read: Callable[[], object], seconds: float) -> bool:
    before = read()
    time.sleep(seconds)
    return read() == before


class Clock:
    """The emulator's: tests turn it on, so that nobody waits and no busy machine is late."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._still: float | None = None

    def __call__(self) -> float:
        still = self._still  # once: another thread may set it going meanwhile
        return time.time() + self._ahead if still is None else still

    def advance(self, seconds: float) -> None:
        if self._still is None:
            self._ahead += seconds
        else:
            self._still += seconds

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Have time pass only where it is told to."""
        self._still = self()
        try:
            yield
        finally:
            self._ahead, self._still = self._still - time.time(), None


class Wire:
    """A TCP proxy that can refuse, swallow everything without a word, or lead elsewhere.

    What is connected already stays so when the `target` changes.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self._silent: set[int] = set()
        self.is_silent = False
        self.is_cut = False
        self.port = free_port()
        self._listener = self._listen(self.port)

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return listener

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        swallowed = False
        target = ("127.0.0.1", self.target)
        with suppress(OSError), client, socket.create_connection(target) as server:
            ends = {client: server, server: client}
            while not self.is_cut:
                for end in select.select(list(ends), [], [], 0.2)[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    # A connection that fell silent never speaks again: its peer is gone.
                    swallowed = swallowed or self.is_silent
                    if not swallowed:
                        ends[end].sendall(data)

    def refuse(self) -> None:
        self.is_cut = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def accept_again(self) -> None:
        self.is_cut = False
        self._listener = self._listen(self.port)

    def close(self) -> None:
        with suppress(OSError):
            self.refuse()


class Stage:
    """The emulator with its queues, and what a worker needs to know of them."""

    def __init__(self, emulator: RunningEmulator, log: Path, clock: Clock) -> None:
        self.emulator = emulator
        self.clock = clock
        self.log = log
        self.sqs: SQSClient = boto3.client(
            "sqs",
            endpoint_url=emulator.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106
        )
        log.touch()

    def queue(self, name: str, max_receives: int = 3) -> str:
        dead = self.sqs.create_queue(QueueName=f"{name}-dlq")["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
        policy = {
            "deadLetterTargetArn": arn["Attributes"]["QueueArn"],
            "maxReceiveCount": max_receives,
        }
        attributes: Any = {"RedrivePolicy": json.dumps(policy)}
        return self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]

    def send(self, url: str, task: str, *packs: str) -> None:
        for pack in packs:
            name = pack.split()[0]
            self.sqs.send_message(
                QueueUrl=url, MessageBody=build(task, pack.encode(), message_id=name)
            )

    def count(self, url: str, *, hidden: bool = False) -> int:
        name = "ApproximateNumberOfMessages" + ("NotVisible" if hidden else "")
        names: Any = [name]
        answer = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)
        return int(answer["Attributes"][name])  # type: ignore[index]

    def is_empty(self, url: str) -> bool:
        # In one look: between two a message may go from one number to the other.
        answer = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        counts = [
            int(value)
            for name, value in answer["Attributes"].items()
            if name.startswith("ApproximateNumberOfMessages")
        ]
        assert counts
        return not any(counts)

    def noted(self, what: str) -> list[str]:
        """The names of the packs that reached this point, in order."""
        whole, _, _half_written = self.log.read_text().rpartition("\n")
        lines = [line.split() for line in whole.splitlines()]
        return [line[3] for line in lines if line[2] == what]

    @contextmanager
    def told_to_go(self) -> Iterator[None]:
        """Let the tasks end that wait."""
        go = self.log.with_suffix(".go")
        go.touch()
        try:
            yield
        finally:
            go.unlink()

    def receives(self) -> int:
        return self.emulator.calls()["sqs"].get("ReceiveMessage", 0)

    def hidden_longer(self) -> int:
        """How often messages were hidden for longer, or shown."""
        return self.emulator.calls()["sqs"].get("ChangeMessageVisibilityBatch", 0)

    def outlast(self, url: str, seconds: float) -> None:
        """Let this time pass on the clock that is stopped, some of it after each heartbeat.

        Of the one message that a worker holds: two would have their heartbeats in turns, and
        time would go on for both after that of either.
        """
        assert self.count(url, hidden=True) == 1
        for _ in range(round(seconds / HEARTBEAT_STEP_SECONDS)):
            before = self.hidden_longer()
            eventually(lambda: self.hidden_longer() > before, 10, "no heartbeat")  # noqa: B023
            self.clock.advance(HEARTBEAT_STEP_SECONDS)

    @contextmanager
    def worker(
        self,
        pool: str,
        concurrency: int,
        *urls: str,
        down: Path | None = None,
        wire: Wire | None = None,
        grace_seconds: float = GRACE_SECONDS,
        **row: object,
    ) -> Iterator["Worker"]:
        """A worker; with `down` it pauses what needs the thing that is down while that file is.

        Without a `wire` SQS sees at once when it dies, and gives its last poll nothing more.
        """
        queues = {url.rsplit("/", 1)[1]: {"url": url, **row} for url in urls}
        options = {
            "region": REGION,
            "predefined_queues": queues,
            "wait_time_seconds": POLL_SECONDS,
            "receive_grace_seconds": grace_seconds,
        }
        settings: dict[str, object] = {
            "log": str(self.log),
            "options": options,
            "down": str(down) if down else "",
        }
        port = wire.port if wire else self.emulator.port
        worker = Worker(self, pool, concurrency, settings, port)
        try:
            yield worker
        finally:
            worker.kill()


class Worker:
    """One `celery worker` in a process group of its own."""

    def __init__(
        self, stage: Stage, pool: str, concurrency: int, settings: dict[str, object], port: int
    ) -> None:
        self.output = stage.log.with_suffix(f".{pool}{time.monotonic_ns()}.worker")
        queues = settings["options"]["predefined_queues"]  # type: ignore[index]
        command = [shutil.which("celery", path=Path(sys.executable).parent) or "celery"]
        command += ["-A", "tests.integration.transport_app", "worker", "-P", pool, "-l", "warning"]
        command += ["-c", str(concurrency), "-Q", ",".join(queues)]
        command += ["--without-mingle", "--without-gossip", "--without-heartbeat"]
        environment = os.environ | {
            "AWS_ENDPOINT_URL_SQS": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "PYTHONPATH": str(ROOT),
            "TRANSPORT_TEST": json.dumps(settings),
        }
        self._stage = stage
        self._read = 0
        before = stage.receives()
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        eventually(lambda: stage.receives() > before, 30, "the worker does not start")

    def mark(self) -> None:
        """Have `logged` look only at what comes from now on."""
        self._read = len(self.output.read_text())

    def logged(self, text: str) -> bool:
        return text in self.output.read_text()[self._read :]

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """The exit code, when SQS has noticed its end as well, and gives it nothing more."""
        code = self.process.wait(STOP_SECONDS)
        self._stage.receives()
        return code

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.wait()
