"""Real workers on our transport against the SQS emulator: every fault heals, nothing is lost."""

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
import pytest

from adapters.celery_envelope import build
from emulators.faults import FaultRule, Kind
from emulators.runner import RunningEmulator, run_in_thread
from tests.faults.poison import malformed

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

ROOT = Path(__file__).parents[2]
REGION = "ap-northeast-1"
SHORT_VISIBILITY = 3
RECOVERY_SECONDS = 5.0


def eventually(check: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


class Wire:
    """A TCP proxy before the emulator that can refuse, or swallow everything without a word."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._silent: set[int] = set()
        self.is_silent = False
        self.is_cut = False
        self._listener = self._listen(0)
        self.port = int(self._listener.getsockname()[1])

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
        with client, socket.create_connection(("127.0.0.1", self._target)) as server:
            ends = {client: server, server: client}
            with suppress(OSError):
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

    def __init__(self, emulator: RunningEmulator, wire: Wire, log: Path) -> None:
        self.emulator = emulator
        self.wire = wire
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

    def noted(self, what: str) -> list[str]:
        """The names of the packs that reached this point, in order."""
        lines = [line.split() for line in self.log.read_text().splitlines()]
        return [line[3] for line in lines if line[2] == what]

    def receives(self) -> int:
        return self.emulator.calls()["sqs"].get("ReceiveMessage", 0)

    @contextmanager
    def worker(self, pool: str, concurrency: int, *urls: str, **row: object) -> Iterator["Worker"]:
        queues = {url.rsplit("/", 1)[1]: {"url": url, **row} for url in urls}
        options = {
            "region": REGION,
            "predefined_queues": queues,
            "wait_time_seconds": 2,
            "receive_grace_seconds": 1.0,
        }
        worker = Worker(self, pool, concurrency, {"log": str(self.log), "options": options})
        try:
            yield worker
        finally:
            worker.kill()


class Worker:
    """One `celery worker` in a process group of its own."""

    def __init__(
        self, stage: Stage, pool: str, concurrency: int, settings: dict[str, object]
    ) -> None:
        self.output = stage.log.with_suffix(f".{pool}{time.monotonic_ns()}.worker")
        queues = settings["options"]["predefined_queues"]  # type: ignore[index]
        command = [shutil.which("celery", path=Path(sys.executable).parent) or "celery"]
        command += ["-A", "tests.integration.transport_app", "worker", "-P", pool, "-l", "warning"]
        command += ["-c", str(concurrency), "-Q", ",".join(queues)]
        command += ["--without-mingle", "--without-gossip", "--without-heartbeat"]
        environment = os.environ | {
            "AWS_ENDPOINT_URL_SQS": f"http://127.0.0.1:{stage.wire.port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "PYTHONPATH": str(ROOT),
            "TRANSPORT_TEST": json.dumps(settings),
        }
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
        return self.process.wait(20)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with run_in_thread("sqs") as emulator:
        wire = Wire(emulator.port)
        yield Stage(emulator, wire, tmp_path_factory.mktemp("transport") / "notes")
        wire.close()


@pytest.fixture(scope="module")
def faulty_queue(stage: Stage) -> str:
    return stage.queue("faulty")


@pytest.fixture(scope="module")
def long_worker(stage: Stage, faulty_queue: str) -> Iterator[Worker]:
    """One worker lives through all faults, one after the other."""
    with stage.worker("threads", 2, faulty_queue, visibility_timeout=SHORT_VISIBILITY) as worker:
        yield worker
        assert worker.is_alive
        assert worker.stop() == 0


@pytest.fixture
def healthy(stage: Stage, long_worker: Worker) -> Iterator[None]:
    long_worker.mark()
    yield
    stage.emulator.heal()
    stage.wire.is_silent = False


def runs_soon(stage: Stage, queue: str, name: str) -> None:
    stage.send(queue, "test.note", name)
    eventually(lambda: name in stage.noted("done"), RECOVERY_SECONDS, f"{name} does not run")
    assert stage.noted("done").count(name) == 1


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize(
    "kind",
    ["http500", "http503", "throttle", "expired_token", "access_denied", "reset", "lose_reply"],
)
def test_polling_goes_on_after(
    kind: Kind, stage: Stage, long_worker: Worker, faulty_queue: str
) -> None:
    stage.emulator.inject(FaultRule(kind=kind, action="ReceiveMessage"))
    before = stage.receives()
    if kind == "lose_reply":
        stage.send(faulty_queue, "test.note", "lost-reply")
    eventually(lambda: stage.receives() >= before + 3, 20, "it does not try again")
    stage.emulator.heal()
    runs_soon(stage, faulty_queue, f"after-{kind}")
    assert stage.receives() - before < 20, "it tries without a pause"
    eventually(lambda: long_worker.logged("receiving fails"), 5, "the failure is not logged")
    assert long_worker.is_alive


@pytest.mark.usefixtures("healthy")
def test_polling_goes_on_after_a_queue_was_missing(
    stage: Stage, long_worker: Worker, faulty_queue: str
) -> None:
    before = stage.receives()
    stage.sqs.delete_queue(QueueUrl=faulty_queue)
    eventually(lambda: stage.receives() >= before + 3, 20, "it does not try again")
    stage.queue("faulty")
    runs_soon(stage, faulty_queue, "after-missing")
    assert long_worker.is_alive


@pytest.mark.usefixtures("healthy")
def test_polling_goes_on_after_refused_connections(
    stage: Stage, long_worker: Worker, faulty_queue: str
) -> None:
    stage.wire.refuse()
    eventually(lambda: long_worker.logged("receiving fails"), 20, "nothing refused")
    stage.wire.accept_again()
    runs_soon(stage, faulty_queue, "after-refused")
    assert long_worker.is_alive


@pytest.mark.usefixtures("healthy")
def test_polling_goes_on_after_a_black_hole(
    stage: Stage, long_worker: Worker, faulty_queue: str
) -> None:
    stage.wire.is_silent = True
    eventually(lambda: long_worker.logged("receiving fails: timeout"), 20, "nothing timed out")
    stage.wire.is_silent = False
    runs_soon(stage, faulty_queue, "after-silence")
    assert long_worker.is_alive


@pytest.mark.usefixtures("healthy")
def test_a_finished_task_runs_once_although_deletes_fail_beyond_its_visibility(
    stage: Stage, long_worker: Worker, faulty_queue: str
) -> None:
    stage.emulator.inject(FaultRule(kind="http500", action="DeleteMessageBatch"))
    stage.send(faulty_queue, "test.note", "undeleted")
    eventually(lambda: "undeleted" in stage.noted("done"), 5, "it does not run")
    stage.send(faulty_queue, "test.slow", f"meanwhile {SHORT_VISIBILITY + 1}")
    eventually(lambda: "meanwhile" in stage.noted("done"), 10, "it does not run")
    stage.emulator.heal()
    eventually(
        lambda: stage.count(faulty_queue, hidden=True) == 0, 10, "the messages are not deleted"
    )
    assert stage.noted("done").count("undeleted") == 1
    assert stage.count(faulty_queue) == 0
    eventually(lambda: long_worker.logged("deleting again"), 5, "the recovery is not logged")


@pytest.mark.usefixtures("long_worker")
def test_a_task_longer_than_its_visibility_runs_once(stage: Stage, faulty_queue: str) -> None:
    stage.send(faulty_queue, "test.slow", f"slow {2 * SHORT_VISIBILITY + 0.5}")
    eventually(lambda: "slow" in stage.noted("done"), 15, "it does not end")
    eventually(lambda: stage.count(faulty_queue, hidden=True) == 0, 5, "it is not deleted")
    assert stage.noted("begun").count("slow") == 1


def test_malformed_messages_reach_the_dead_letters_and_stop_nothing(stage: Stage) -> None:
    queue = stage.queue("poisoned", max_receives=2)
    dead = queue + "-dlq"
    poison = malformed("test.note")
    for text in poison:
        stage.sqs.send_message(QueueUrl=queue, MessageBody=text)
    names = [f"good-{i}" for i in range(10)]
    stage.send(queue, "test.note", *names)
    with stage.worker("prefork", 2, queue, backoff_base_seconds=0.1) as worker:
        eventually(lambda: set(names) <= set(stage.noted("done")), 10, "good ones do not run")
        eventually(lambda: stage.count(dead) == len(poison), 20, "poison is not redriven")
        stage.send(queue, "test.die", "dies")
        stage.send(queue, "test.fail", "fails")
        eventually(lambda: stage.count(dead) == len(poison) + 2, 20, "failures are not redriven")
        stage.send(queue, "test.note", "good-last")
        eventually(lambda: "good-last" in stage.noted("done"), 10, "it does not go on")
        assert sorted(stage.noted("begun")[-4:]) == ["dies", "dies", "fails", "fails"]
        assert "poison" not in stage.noted("done")
        assert not worker.logged("unregistered task"), "Celery prints the body of such a message"
        assert worker.is_alive


def test_sigterm_hands_back_what_was_not_begun_and_ends_what_was(stage: Stage) -> None:
    queue = stage.queue("ending")
    other = stage.queue("ending-too")
    # Two queues each fill the two free slots, so that messages wait in the worker.
    stage.send(queue, "test.slow", *[f"end-{i} 2" for i in range(4)])
    stage.send(other, "test.slow", *[f"end-{i} 2" for i in range(4, 8)])
    with stage.worker("threads", 2, queue, other) as worker:
        eventually(
            lambda: stage.count(queue, hidden=True) + stage.count(other, hidden=True) > 2,
            10,
            "nothing waits in the worker",
        )
        worker.process.send_signal(signal.SIGTERM)
        eventually(
            lambda: stage.count(queue, hidden=True) + stage.count(other, hidden=True) <= 2,
            1.5,
            "what was not begun is not handed back",
        )
        assert worker.process.wait(20) == 0
    begun = [name for name in stage.noted("begun") if name.startswith("end-")]
    ended = [name for name in stage.noted("done") if name.startswith("end-")]
    assert sorted(begun) == sorted(ended)
    assert len(begun) == 2
    assert stage.count(queue) + stage.count(other) == 6
    assert stage.count(queue, hidden=True) + stage.count(other, hidden=True) == 0


def test_what_a_killed_worker_held_is_done_by_another(stage: Stage) -> None:
    queue = stage.queue("killed")
    stage.send(queue, "test.slow", "kill-0 1", "kill-1 1")
    with stage.worker("solo", 1, queue, visibility_timeout=SHORT_VISIBILITY) as worker:
        eventually(lambda: "kill-0" in stage.noted("begun"), 10, "it does not begin")
        worker.kill()
    with stage.worker("threads", 2, queue, visibility_timeout=SHORT_VISIBILITY) as worker:
        eventually(
            lambda: {"kill-0", "kill-1"} <= set(stage.noted("done")), 15, "not done by another"
        )
        assert worker.stop() == 0
    assert stage.count(queue) == stage.count(queue, hidden=True) == 0
