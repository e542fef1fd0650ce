"""The emulators as a process: ready line, clean end, and what a SIGKILL may and may not lose."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.emulator_clients import client_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mypy_boto3_sqs import SQSClient


class Process:
    def __init__(self, *arguments: str) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "emulators", *arguments], stdout=subprocess.PIPE
        )
        assert self.popen.stdout is not None
        self.ready: dict[str, Any] = json.loads(self.popen.stdout.readline())
        self.url = f"http://127.0.0.1:{self.ready['port']}"

    def client(self, service: str) -> Any:
        return client_of(service, self.url, max_pool_connections=20)

    def end(self, number: signal.Signals) -> int:
        self.popen.send_signal(number)
        code = self.popen.wait(60)
        if self.popen.stdout is not None:
            self.popen.stdout.close()
        return code


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def begin(*arguments: str) -> Process:
        process = Process(*arguments)
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.popen.poll() is None:
            process.end(signal.SIGKILL)


def drain(sqs: SQSClient, url: str) -> list[str]:
    found: list[str] = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += [message["Body"] for message in messages]
    return found


def same_queue(sqs: SQSClient, name: str = "q") -> str:
    return sqs.get_queue_url(QueueName=name)["QueueUrl"]


def test_it_says_where_it_listens_and_leaves_on_sigterm(start: Callable[..., Process]) -> None:
    process = start("sqs", "featurestore", "--feature-group", "users:id:at")
    assert process.ready["services"] == ["sqs", "featurestore"]
    sqs = process.client("sqs")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    failures: list[Exception] = []

    def poll() -> None:
        try:
            sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)
        except (BotoCoreError, ClientError) as error:
            failures.append(error)

    waiting = threading.Thread(target=poll)
    waiting.start()
    assert process.end(signal.SIGTERM) == 0
    waiting.join(60)
    assert failures
    sqs.close()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nosuch"], "invalid choice"),
        (["featurestore", "--feature-group", "users"], "expected NAME"),
        (["sqs", "--journal-dir", "/dev/null/x"], "cannot open"),
    ],
)
def test_bad_arguments_are_one_clear_error(arguments: list[str], words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "emulators", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


class Load:
    """Producers and a consumer that work until the emulator dies, noting what it acknowledged."""

    def __init__(self, sqs: SQSClient, url: str) -> None:
        self._sqs = sqs
        self._url = url
        self.sent: set[str] = set()
        self.deleted: set[str] = set()
        self.in_doubt: set[str] = set()
        self.enough = threading.Event()
        targets = [self._produce, self._produce, self._produce, self._consume]
        self._threads = [
            threading.Thread(target=self._until_it_dies, args=(target, str(i)))
            for i, target in enumerate(targets)
        ]
        for thread in self._threads:
            thread.start()

    def _until_it_dies(self, step: Callable[[str], None], worker: str) -> None:
        for number in itertools.count():
            try:
                step(f"{worker}-{number}")
            except (BotoCoreError, ClientError):
                return

    def _produce(self, name: str) -> None:
        bodies = [f"{name}-{i}" for i in range(5)]
        answer = self._sqs.send_message_batch(
            QueueUrl=self._url, Entries=[{"Id": body, "MessageBody": body} for body in bodies]
        )
        self.sent.update(done["Id"] for done in answer["Successful"])
        if len(self.sent) > 400 and self.deleted:
            self.enough.set()

    def _consume(self, name: str) -> None:
        del name
        for message in self._sqs.receive_message(QueueUrl=self._url).get("Messages", []):
            self.in_doubt = {message["Body"]}
            self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
            self.deleted.add(message["Body"])
            self.in_doubt = set()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(60)


def test_a_kill_under_load_loses_nothing_acknowledged(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    process = start("sqs", "--journal-dir", str(tmp_path))
    sqs = process.client("sqs")
    # To read what is kept may take longer on a busy machine than a message is invisible else.
    lasting = {"VisibilityTimeout": "3600"}
    load = Load(sqs, sqs.create_queue(QueueName="q", Attributes=lasting)["QueueUrl"])
    assert load.enough.wait(60)
    process.end(signal.SIGKILL)
    load.join()
    sqs.close()

    again = start("sqs", "--journal-dir", str(tmp_path)).client("sqs")
    kept = drain(again, same_queue(again))
    assert len(kept) == len(set(kept))
    assert set(kept) >= load.sent - load.deleted - load.in_doubt
    assert not set(kept) & load.deleted
    again.close()


def test_a_restart_keeps_queues_counts_delays_and_receipts(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    process = start("sqs", "--journal-dir", str(tmp_path))
    sqs = process.client("sqs")
    sqs.create_queue(QueueName="gone")
    sqs.delete_queue(QueueUrl=same_queue(sqs, "gone"))
    url = sqs.create_queue(
        QueueName="q", Attributes={"VisibilityTimeout": "600"}, tags={"team": "x"}
    )["QueueUrl"]
    attributes = {"a": {"DataType": "Binary", "BinaryValue": b"\x00\x01"}}
    sqs.send_message(QueueUrl=url, MessageBody="in flight", MessageAttributes=attributes)
    sqs.send_message(QueueUrl=url, MessageBody="held")
    sqs.send_message(QueueUrl=url, MessageBody="delayed", DelaySeconds=600)
    [held, _] = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    process.end(signal.SIGKILL)
    sqs.close()

    again = start("sqs", "--journal-dir", str(tmp_path)).client("sqs")
    [found] = again.list_queues()["QueueUrls"]
    assert again.list_queue_tags(QueueUrl=found)["Tags"] == {"team": "x"}
    # a worker that finished meanwhile may still delete with the handle it holds
    again.delete_message(QueueUrl=found, ReceiptHandle=held["ReceiptHandle"])
    [left] = again.receive_message(
        QueueUrl=found,
        MaxNumberOfMessages=10,
        AttributeNames=["All"],
        MessageAttributeNames=["All"],
    )["Messages"]
    assert {held["Body"], left["Body"]} == {"in flight", "held"}
    assert left["Attributes"]["ApproximateReceiveCount"] == "2"
    depth = again.get_queue_attributes(
        QueueUrl=found, AttributeNames=["VisibilityTimeout", "ApproximateNumberOfMessagesDelayed"]
    )["Attributes"]
    assert depth == {"VisibilityTimeout": "600", "ApproximateNumberOfMessagesDelayed": "1"}
    again.close()


def test_a_torn_journal_starts_with_what_is_whole(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    process = start("sqs", "--journal-dir", str(tmp_path))
    sqs = process.client("sqs")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    for text in ("whole", "torn"):
        sqs.send_message(QueueUrl=url, MessageBody=text)
    process.end(signal.SIGKILL)
    sqs.close()
    journal = tmp_path / "sqs.journal"
    journal.write_bytes(journal.read_bytes()[:-3])

    again = start("sqs", "--journal-dir", str(tmp_path)).client("sqs")
    assert drain(again, same_queue(again)) == ["whole"]
    again.close()


def test_records_and_groups_survive_a_kill(start: Callable[..., Process], tmp_path: Path) -> None:
    def record(user: str, at: int) -> list[dict[str, str]]:
        pairs = {"id": user, "at": str(at)}
        return [{"FeatureName": k, "ValueAsString": v} for k, v in pairs.items()]

    arguments = ("featurestore", "--journal-dir", str(tmp_path))
    process = start(*arguments, "--feature-group", "users:id:at:Standard_V2")
    store = process.client("sagemaker-featurestore-runtime")
    for user in "ab":
        store.put_record(FeatureGroupName="users", Record=record(user, 10))
    store.delete_record(FeatureGroupName="users", RecordIdentifierValueAsString="b", EventTime="11")
    process.end(signal.SIGKILL)
    store.close()

    again = start(*arguments).client("sagemaker-featurestore-runtime")
    assert again.list_records(FeatureGroupName="users")["RecordIdentifiers"] == ["a"]
    again.put_record(FeatureGroupName="users", Record=record("b", 10))
    assert "Record" not in again.get_record(
        FeatureGroupName="users", RecordIdentifierValueAsString="b"
    )
    again.close()
