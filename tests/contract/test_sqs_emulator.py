"""The SQS emulator as boto3 meets it: what SDKs send, what the service answers."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from emulators import EmulatorSettings, FaultRule, RunningEmulator, run_in_thread
from tests.emulator_clients import client_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType

DEPTH: list[QueueAttributeNameType] = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
]


class Clock:
    def __init__(self) -> None:
        self.offset = 0.0

    def __call__(self) -> float:
        return time.time() + self.offset


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def running(clock: Clock) -> Iterator[RunningEmulator]:
    with run_in_thread(settings=EmulatorSettings(clock=clock, seed=5)) as emulator:
        yield emulator


@pytest.fixture
def aws(running: RunningEmulator) -> Iterator[RunningEmulator]:
    yield running
    running.heal()


@pytest.fixture(scope="module")
def shared_client(running: RunningEmulator) -> Iterator[SQSClient]:
    client = connect(running)
    yield client
    client.close()


@pytest.fixture
def sqs(aws: RunningEmulator, shared_client: SQSClient) -> SQSClient:
    del aws
    return shared_client


def connect(aws: RunningEmulator) -> SQSClient:
    client: SQSClient = client_of("sqs", aws.url, max_pool_connections=50, read_timeout=90)
    return client


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return "".join(c if c.isalnum() else "-" for c in request.node.name)[:60]


@pytest.fixture
def url(sqs: SQSClient, name: str) -> str:
    return sqs.create_queue(QueueName=name)["QueueUrl"]


def arn(sqs: SQSClient, url: str) -> str:
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]


def depth(sqs: SQSClient, url: str) -> tuple[int, ...]:
    """(visible, in flight, delayed)."""
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=DEPTH)["Attributes"]
    return tuple(int(attributes[name]) for name in DEPTH)


def receive(sqs: SQSClient, url: str, **options: Any) -> list[Any]:
    return list(sqs.receive_message(QueueUrl=url, **options).get("Messages", []))


def bodies(messages: list[Any]) -> list[str]:
    return [message["Body"] for message in messages]


def refused(call: Callable[..., object], **arguments: object) -> tuple[str, int]:
    """The error code and the HTTP status of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def with_dlq(sqs: SQSClient, name: str, max_receives: int = 1) -> tuple[str, str]:
    dead = sqs.create_queue(QueueName=f"{name}-dlq")["QueueUrl"]
    policy = {"deadLetterTargetArn": arn(sqs, dead), "maxReceiveCount": max_receives}
    source = sqs.create_queue(
        QueueName=name, Attributes={"RedrivePolicy": json.dumps(policy), "VisibilityTimeout": "0"}
    )["QueueUrl"]
    return source, dead


class TestQueues:
    def test_creating_a_queue_again_gives_the_same_url(self, sqs: SQSClient, name: str) -> None:
        first = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "7"})
        again = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "7"})
        without = sqs.create_queue(QueueName=name)
        assert first["QueueUrl"] == again["QueueUrl"] == without["QueueUrl"]

    def test_creating_a_queue_again_with_other_attributes_is_an_error(
        self, sqs: SQSClient, name: str
    ) -> None:
        sqs.create_queue(QueueName=name)
        with pytest.raises(sqs.exceptions.QueueNameExists) as caught:
            sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "7"})
        error = caught.value.response["Error"]
        assert error["Code"] == "QueueAlreadyExists"
        assert "VisibilityTimeout" in error["Message"]

    def test_an_unknown_queue_does_not_exist(self, sqs: SQSClient, url: str) -> None:
        with pytest.raises(sqs.exceptions.QueueDoesNotExist) as caught:
            sqs.get_queue_url(QueueName="nowhere")
        error = caught.value.response["Error"]
        assert error["Code"] == "AWS.SimpleQueueService.NonExistentQueue"
        with pytest.raises(sqs.exceptions.QueueDoesNotExist):
            sqs.send_message(QueueUrl=f"{url}-else", MessageBody="x")

    def test_fifo_queues_are_refused_clearly(self, sqs: SQSClient) -> None:
        with pytest.raises(sqs.exceptions.UnsupportedOperation, match="FIFO"):
            sqs.create_queue(QueueName="a.fifo", Attributes={"FifoQueue": "true"})

    @pytest.mark.parametrize("bad", ["", "a b", "x" * 81, "日本"])
    def test_a_bad_name_is_refused(self, sqs: SQSClient, bad: str) -> None:
        assert refused(sqs.create_queue, QueueName=bad) == ("InvalidParameterValue", 400)

    @pytest.mark.parametrize(
        ("attribute", "value", "code"),
        [
            ("VisibilityTimeout", "43201", "InvalidAttributeValue"),
            ("DelaySeconds", "-1", "InvalidAttributeValue"),
            ("MessageRetentionPeriod", "59", "InvalidAttributeValue"),
            ("ReceiveMessageWaitTimeSeconds", "21", "InvalidAttributeValue"),
            ("MaximumMessageSize", "1048577", "InvalidAttributeValue"),
            ("Colour", "red", "InvalidAttributeName"),
            ("RedrivePolicy", "{", "InvalidParameterValue"),
            (
                "RedrivePolicy",
                '{"deadLetterTargetArn": "arn:aws:sqs:x:0:no", "maxReceiveCount": 3}',
                "InvalidParameterValue",
            ),
        ],
    )
    def test_a_bad_attribute_is_refused(
        self, sqs: SQSClient, url: str, attribute: str, value: str, code: str
    ) -> None:
        attributes = {attribute: value}
        assert refused(sqs.set_queue_attributes, QueueUrl=url, Attributes=attributes)[0] == code

    def test_attributes_are_described_with_defaults(self, sqs: SQSClient, url: str) -> None:
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "11"})
        everything = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert everything["VisibilityTimeout"] == "11"
        assert everything["MaximumMessageSize"] == "1048576"
        assert everything["MessageRetentionPeriod"] == "345600"
        assert everything["QueueArn"].startswith("arn:aws:sqs:ap-northeast-1:000000000000:")
        assert "RedrivePolicy" not in everything
        assert "Attributes" not in sqs.get_queue_attributes(QueueUrl=url)

    def test_an_unknown_attribute_cannot_be_read(self, sqs: SQSClient, url: str) -> None:
        code = refused(sqs.get_queue_attributes, QueueUrl=url, AttributeNames=["Colour"])[0]
        assert code == "InvalidAttributeName"

    def test_queues_are_listed_by_prefix_in_pages(self, sqs: SQSClient) -> None:
        urls = [sqs.create_queue(QueueName=f"listed-{i}")["QueueUrl"] for i in range(5)]
        assert sqs.list_queues(QueueNamePrefix="listed-")["QueueUrls"] == urls
        pages = sqs.get_paginator("list_queues").paginate(
            QueueNamePrefix="listed-", PaginationConfig={"PageSize": 2}
        )
        assert [page["QueueUrls"] for page in pages] == [urls[:2], urls[2:4], urls[4:]]
        assert "QueueUrls" not in sqs.list_queues(QueueNamePrefix="no-such")

    def test_a_deleted_queue_is_gone_with_its_messages(
        self, sqs: SQSClient, url: str, name: str
    ) -> None:
        sqs.send_message(QueueUrl=url, MessageBody="x")
        sqs.delete_queue(QueueUrl=url)
        with pytest.raises(sqs.exceptions.QueueDoesNotExist):
            sqs.receive_message(QueueUrl=url)
        sqs.create_queue(QueueName=name)
        assert receive(sqs, url) == []

    def test_purging_removes_everything_even_in_flight(self, sqs: SQSClient, url: str) -> None:
        for _ in range(3):
            sqs.send_message(QueueUrl=url, MessageBody="x")
        receive(sqs, url)
        sqs.purge_queue(QueueUrl=url)
        assert depth(sqs, url) == (0, 0, 0)

    def test_tags_are_kept_and_taken_off(self, sqs: SQSClient, name: str) -> None:
        url = sqs.create_queue(QueueName=name, tags={"a": "1"})["QueueUrl"]
        sqs.tag_queue(QueueUrl=url, Tags={"b": "2"})
        sqs.untag_queue(QueueUrl=url, TagKeys=["a"])
        assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"b": "2"}


class TestSending:
    def test_attributes_and_digests_survive_the_trip(self, sqs: SQSClient, url: str) -> None:
        """botocore itself compares the body's MD5 on send and on receive."""
        sent = sqs.send_message(
            QueueUrl=url,
            MessageBody="日本語 \U0001f4d6\n",
            MessageAttributes={
                "n": {"DataType": "Number.int", "StringValue": "5"},
                "b": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
                "trace.id": {"DataType": "String", "StringValue": "é"},
            },
            MessageSystemAttributes={
                "AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-2"}
            },
            MessageGroupId="tenant-1",
        )
        [message] = receive(sqs, url, MessageAttributeNames=["All"], AttributeNames=["All"])
        assert message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
        assert message["MessageAttributes"]["b"]["BinaryValue"] == b"\x00\xff"
        assert message["MessageAttributes"]["n"]["DataType"] == "Number.int"
        attributes = message["Attributes"]
        assert attributes["AWSTraceHeader"] == "Root=1-2"
        assert attributes["MessageGroupId"] == "tenant-1"
        assert attributes["ApproximateReceiveCount"] == "1"
        assert attributes["SenderId"] == "000000000000"
        assert int(attributes["ApproximateFirstReceiveTimestamp"]) >= int(
            attributes["SentTimestamp"]
        )

    def test_the_attribute_digest_is_the_documented_one(self, sqs: SQSClient, url: str) -> None:
        """A known value: one String attribute "a" = "b"."""
        sent = sqs.send_message(
            QueueUrl=url,
            MessageBody="x",
            MessageAttributes={"a": {"DataType": "String", "StringValue": "b"}},
        )
        encoded = b"\0\0\0\x01a" + b"\0\0\0\x06String" + b"\x01" + b"\0\0\0\x01b"
        import hashlib  # noqa: PLC0415

        assert sent["MD5OfMessageAttributes"] == hashlib.md5(encoded).hexdigest()  # noqa: S324

    def test_only_the_attributes_asked_for_are_returned(self, sqs: SQSClient, url: str) -> None:
        values = {n: {"DataType": "String", "StringValue": n} for n in ("a.x", "a.y", "b")}
        sqs.send_message(QueueUrl=url, MessageBody="x", MessageAttributes=values)  # type: ignore[arg-type]
        [none] = receive(sqs, url, VisibilityTimeout=0)
        assert "MessageAttributes" not in none
        assert "Attributes" not in none
        assert "MD5OfMessageAttributes" not in none
        [some] = receive(sqs, url, MessageAttributeNames=["a.*"], VisibilityTimeout=0)
        assert set(some["MessageAttributes"]) == {"a.x", "a.y"}
        [one] = receive(sqs, url, MessageSystemAttributeNames=["SentTimestamp"])
        assert set(one["Attributes"]) == {"SentTimestamp"}

    def test_a_message_of_exactly_the_limit_passes_and_one_more_byte_does_not(
        self, sqs: SQSClient, url: str
    ) -> None:
        sqs.send_message(QueueUrl=url, MessageBody="x" * 1_048_576)
        too_long = refused(sqs.send_message, QueueUrl=url, MessageBody="x" * 1_048_577)
        assert too_long == ("InvalidParameterValue", 400)
        assert refused(sqs.send_message, QueueUrl=url, MessageBody="é" * 524_289)[0] == (
            "InvalidParameterValue"
        )

    def test_a_queue_may_set_a_smaller_limit(self, sqs: SQSClient, name: str) -> None:
        url = sqs.create_queue(QueueName=name, Attributes={"MaximumMessageSize": "1024"})[
            "QueueUrl"
        ]
        assert refused(sqs.send_message, QueueUrl=url, MessageBody="x" * 1025)[0] == (
            "InvalidParameterValue"
        )

    @pytest.mark.parametrize("body", ["\x00", "a\x0bb", "\ufffe"])
    def test_characters_outside_xml_are_refused(self, sqs: SQSClient, url: str, body: str) -> None:
        with pytest.raises(sqs.exceptions.InvalidMessageContents):
            sqs.send_message(QueueUrl=url, MessageBody=body)

    @pytest.mark.parametrize(
        ("options", "code"),
        [
            ({"MessageBody": ""}, "MissingParameter"),
            ({"MessageBody": "x", "DelaySeconds": 901}, "InvalidParameterValue"),
            ({"MessageBody": "x", "MessageGroupId": "a b"}, "InvalidParameterValue"),
            ({"MessageBody": "x", "MessageDeduplicationId": "1"}, "InvalidParameterValue"),
            (
                {"MessageBody": "x", "MessageAttributes": {"a": {"DataType": "Text"}}},
                "InvalidParameterValue",
            ),
            (
                {
                    "MessageBody": "x",
                    "MessageAttributes": {"AWS.a": {"DataType": "String", "StringValue": "b"}},
                },
                "InvalidParameterValue",
            ),
            (
                {
                    "MessageBody": "x",
                    "MessageAttributes": {"a": {"DataType": "Number", "StringValue": "b"}},
                },
                "InvalidParameterValue",
            ),
        ],
    )
    def test_bad_parameters_are_refused(
        self, sqs: SQSClient, url: str, options: dict[str, object], code: str
    ) -> None:
        assert refused(sqs.send_message, QueueUrl=url, **options) == (code, 400)
        assert depth(sqs, url) == (0, 0, 0)

    def test_a_delayed_message_waits_out_its_delay(
        self, sqs: SQSClient, name: str, clock: Clock
    ) -> None:
        url = sqs.create_queue(QueueName=name, Attributes={"DelaySeconds": "60"})["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody="late")
        sqs.send_message(QueueUrl=url, MessageBody="now", DelaySeconds=0)
        assert bodies(receive(sqs, url, MaxNumberOfMessages=10)) == ["now"]
        assert depth(sqs, url) == (0, 1, 1)
        clock.offset += 60
        assert "late" in bodies(receive(sqs, url, MaxNumberOfMessages=10))

    def test_messages_expire(self, sqs: SQSClient, name: str, clock: Clock) -> None:
        attributes = {"MessageRetentionPeriod": "60"}
        url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]  # type: ignore[arg-type]
        sqs.send_message(QueueUrl=url, MessageBody="x")
        clock.offset += 61
        assert receive(sqs, url) == []


class TestReceiving:
    def test_a_message_is_invisible_until_its_timeout(
        self, sqs: SQSClient, url: str, clock: Clock
    ) -> None:
        sqs.send_message(QueueUrl=url, MessageBody="x")
        [first] = receive(sqs, url, VisibilityTimeout=100)
        assert receive(sqs, url) == []
        clock.offset += 100
        [second] = receive(sqs, url, AttributeNames=["ApproximateReceiveCount"])
        assert second["MessageId"] == first["MessageId"]
        assert second["ReceiptHandle"] != first["ReceiptHandle"]
        assert second["Attributes"]["ApproximateReceiveCount"] == "2"

    @pytest.mark.parametrize(
        "options",
        [
            {"MaxNumberOfMessages": 11},
            {"MaxNumberOfMessages": 0},
            {"WaitTimeSeconds": 21},
            {"VisibilityTimeout": -1},
        ],
    )
    def test_numbers_out_of_range_are_refused(
        self, sqs: SQSClient, url: str, options: dict[str, int]
    ) -> None:
        assert refused(sqs.receive_message, QueueUrl=url, **options)[0] == "InvalidParameterValue"

    def test_a_long_poll_wakes_when_a_message_is_sent(self, sqs: SQSClient, url: str) -> None:
        with ThreadPoolExecutor() as pool:
            polls = [pool.submit(receive, sqs, url, WaitTimeSeconds=20) for _ in range(3)]
            for text in "abc":
                sqs.send_message(QueueUrl=url, MessageBody=text)
            assert sorted(bodies([poll.result(90)[0] for poll in polls])) == ["a", "b", "c"]

    def test_a_long_poll_wakes_when_a_delay_or_a_timeout_ends(
        self, sqs: SQSClient, url: str
    ) -> None:
        sqs.send_message(QueueUrl=url, MessageBody="delayed", DelaySeconds=1)
        assert bodies(receive(sqs, url, WaitTimeSeconds=20, VisibilityTimeout=1)) == ["delayed"]
        assert bodies(receive(sqs, url, WaitTimeSeconds=20)) == ["delayed"]

    def test_a_long_poll_wakes_when_a_message_is_handed_back(
        self, sqs: SQSClient, url: str
    ) -> None:
        sqs.send_message(QueueUrl=url, MessageBody="x")
        [message] = receive(sqs, url)
        with ThreadPoolExecutor() as pool:
            poll = pool.submit(receive, sqs, url, WaitTimeSeconds=20)
            sqs.change_message_visibility(
                QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
            )
            assert bodies(poll.result(90)) == ["x"]

    def test_a_long_poll_ends_when_its_queue_is_deleted(
        self, aws: RunningEmulator, sqs: SQSClient, url: str
    ) -> None:
        aws.reset_calls()
        with ThreadPoolExecutor() as pool:
            poll = pool.submit(receive, sqs, url, WaitTimeSeconds=20)
            while not aws.calls()["sqs"].get("ReceiveMessage"):
                pass
            sqs.delete_queue(QueueUrl=url)
            with pytest.raises(sqs.exceptions.QueueDoesNotExist):
                poll.result(90)

    def test_an_empty_long_poll_ends_with_nothing(self, sqs: SQSClient, url: str) -> None:
        assert "Messages" not in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)

    def test_a_long_poll_whose_client_has_gone_takes_nothing(
        self, aws: RunningEmulator, sqs: SQSClient, url: str
    ) -> None:
        aws.reset_calls()
        body = json.dumps({"QueueUrl": url, "WaitTimeSeconds": 20}).encode()
        for _ in range(3):
            connection = http.client.HTTPConnection(aws.host, aws.port)
            connection.request("POST", "/", body, {"X-Amz-Target": "AmazonSQS.ReceiveMessage"})
            while not aws.calls()["sqs"].get("ReceiveMessage"):
                pass
            connection.close()
            aws.reset_calls()
        sqs.send_message(QueueUrl=url, MessageBody="x")
        assert depth(sqs, url) == (1, 0, 0)
        assert bodies(receive(sqs, url)) == ["x"]

    def test_many_consumers_never_share_a_message(self, sqs: SQSClient, url: str) -> None:
        def send(start: int) -> None:
            entries = [{"Id": str(i), "MessageBody": str(start + i)} for i in range(10)]
            sqs.send_message_batch(QueueUrl=url, Entries=entries)  # type: ignore[arg-type]

        def drain() -> list[str]:
            got: list[str] = []
            while found := receive(sqs, url, MaxNumberOfMessages=10):
                got += bodies(found)
            return got

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(send, range(0, 500, 10)))
            drained = [pool.submit(drain) for _ in range(8)]
            everything = [text for future in drained for text in future.result()]
        assert sorted(everything, key=int) == [str(i) for i in range(500)]


class TestReceipts:
    def test_a_deleted_message_is_gone_and_deleting_it_again_is_no_error(
        self, sqs: SQSClient, url: str
    ) -> None:
        sqs.send_message(QueueUrl=url, MessageBody="x")
        [message] = receive(sqs, url)
        for _ in range(2):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        assert depth(sqs, url) == (0, 0, 0)

    def test_a_handle_older_than_the_last_receive_deletes_nothing(
        self, sqs: SQSClient, url: str
    ) -> None:
        sqs.send_message(QueueUrl=url, MessageBody="x")
        [old] = receive(sqs, url, VisibilityTimeout=0)
        [new] = receive(sqs, url)
        sqs.delete_message(QueueUrl=url, ReceiptHandle=old["ReceiptHandle"])
        assert depth(sqs, url) == (0, 1, 0)
        sqs.delete_message(QueueUrl=url, ReceiptHandle=new["ReceiptHandle"])
        assert depth(sqs, url) == (0, 0, 0)

    def test_the_last_handle_still_deletes_after_its_timeout(
        self, sqs: SQSClient, url: str, clock: Clock
    ) -> None:
        sqs.send_message(QueueUrl=url, MessageBody="x")
        [message] = receive(sqs, url)
        clock.offset += 31
        assert depth(sqs, url) == (1, 0, 0)
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        assert depth(sqs, url) == (0, 0, 0)

    def test_a_handle_that_is_none_is_invalid(self, sqs: SQSClient, url: str, name: str) -> None:
        with pytest.raises(sqs.exceptions.ReceiptHandleIsInvalid):
            sqs.delete_message(QueueUrl=url, ReceiptHandle="rubbish")
        other = sqs.create_queue(QueueName=f"{name}-other")["QueueUrl"]
        sqs.send_message(QueueUrl=other, MessageBody="x")
        [message] = receive(sqs, other)
        with pytest.raises(sqs.exceptions.ReceiptHandleIsInvalid):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def test_visibility_can_be_extended_up_to_twelve_hours_after_the_receive(
        self, sqs: SQSClient, url: str, clock: Clock
    ) -> None:
        sqs.send_message(QueueUrl=url, MessageBody="x")
        [message] = receive(sqs, url)
        handle = message["ReceiptHandle"]
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=43_200)
        clock.offset += 43_000
        assert depth(sqs, url) == (0, 1, 0)
        code = refused(
            sqs.change_message_visibility,
            QueueUrl=url,
            ReceiptHandle=handle,
            VisibilityTimeout=300,
        )[0]
        assert code == "InvalidParameterValue"

    def test_the_visibility_of_a_deleted_or_again_received_message_cannot_change(
        self, sqs: SQSClient, url: str
    ) -> None:
        sqs.send_message(QueueUrl=url, MessageBody="x")
        [old] = receive(sqs, url, VisibilityTimeout=0)
        [new] = receive(sqs, url)
        sqs.delete_message(QueueUrl=url, ReceiptHandle=new["ReceiptHandle"])
        for message in (old, new):
            code = refused(
                sqs.change_message_visibility,
                QueueUrl=url,
                ReceiptHandle=message["ReceiptHandle"],
                VisibilityTimeout=10,
            )[0]
            assert code == "InvalidParameterValue"

    def test_a_lapsed_message_stays_visible_whatever_its_old_holder_asks(
        self, sqs: SQSClient, url: str, clock: Clock
    ) -> None:
        sqs.send_message(QueueUrl=url, MessageBody="x")
        [message] = receive(sqs, url)
        clock.offset += 31
        sqs.change_message_visibility(
            QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=600
        )
        assert depth(sqs, url) == (1, 0, 0)


class TestBatches:
    def test_a_batch_of_none_or_eleven_or_twins_is_refused_whole(
        self, sqs: SQSClient, url: str
    ) -> None:
        def entries(*ids: str) -> list[Any]:
            return [{"Id": i, "MessageBody": "x"} for i in ids]

        send = sqs.send_message_batch
        with pytest.raises(sqs.exceptions.EmptyBatchRequest):
            send(QueueUrl=url, Entries=[])
        with pytest.raises(sqs.exceptions.TooManyEntriesInBatchRequest):
            send(QueueUrl=url, Entries=entries(*map(str, range(11))))
        with pytest.raises(sqs.exceptions.BatchEntryIdsNotDistinct):
            send(QueueUrl=url, Entries=entries("a", "b", "a"))
        with pytest.raises(sqs.exceptions.InvalidBatchEntryId):
            send(QueueUrl=url, Entries=entries("a b"))
        assert depth(sqs, url) == (0, 0, 0)

    def test_the_sum_of_a_batch_is_limited_too(self, sqs: SQSClient, url: str) -> None:
        half: list[Any] = [{"Id": i, "MessageBody": "x" * 524_288} for i in "ab"]
        assert len(sqs.send_message_batch(QueueUrl=url, Entries=half)["Successful"]) == 2
        half[0]["MessageBody"] += "x"
        with pytest.raises(sqs.exceptions.BatchRequestTooLong):
            sqs.send_message_batch(QueueUrl=url, Entries=half)

    def test_bad_entries_fail_alone(self, sqs: SQSClient, url: str) -> None:
        answer = sqs.send_message_batch(
            QueueUrl=url,
            Entries=[
                {"Id": "good", "MessageBody": "x"},
                {"Id": "delay", "MessageBody": "x", "DelaySeconds": 1000},
                {"Id": "contents", "MessageBody": "\x01"},
            ],
        )
        assert [entry["Id"] for entry in answer["Successful"]] == ["good"]
        failed = {entry["Id"]: (entry["Code"], entry["SenderFault"]) for entry in answer["Failed"]}
        assert failed == {
            "delay": ("InvalidParameterValue", True),
            "contents": ("InvalidMessageContents", True),
        }
        assert depth(sqs, url) == (1, 0, 0)

    def test_deleting_and_changing_in_batches_reports_each_entry(
        self, sqs: SQSClient, url: str
    ) -> None:
        entries: Any = [{"Id": str(i), "MessageBody": str(i)} for i in range(4)]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)
        messages = receive(sqs, url, MaxNumberOfMessages=10)
        handles: Any = [
            {"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(messages)
        ]
        bad: Any = {"Id": "bad", "ReceiptHandle": "rubbish"}
        deleted = sqs.delete_message_batch(QueueUrl=url, Entries=[*handles[:2], bad])
        assert [entry["Id"] for entry in deleted["Successful"]] == ["0", "1"]
        assert [entry["Code"] for entry in deleted["Failed"]] == ["ReceiptHandleIsInvalid"]
        changes: Any = [{**entry, "VisibilityTimeout": 0} for entry in [*handles, bad]]
        changed = sqs.change_message_visibility_batch(QueueUrl=url, Entries=changes)
        assert {entry["Id"] for entry in changed["Successful"]} == {"2", "3"}
        assert {entry["Id"] for entry in changed["Failed"]} == {"0", "1", "bad"}
        assert depth(sqs, url) == (2, 0, 0)


class TestDeadLetters:
    def test_a_message_received_too_often_moves_and_says_whence(
        self, sqs: SQSClient, name: str
    ) -> None:
        source, dead = with_dlq(sqs, name, max_receives=2)
        sqs.send_message(QueueUrl=source, MessageBody="poison")
        [first] = receive(sqs, source, AttributeNames=["All"])
        assert len(receive(sqs, source)) == 1
        assert receive(sqs, source) == []
        [buried] = receive(sqs, dead, AttributeNames=["All"])
        assert buried["MessageId"] == first["MessageId"]
        assert buried["Attributes"]["DeadLetterQueueSourceArn"] == arn(sqs, source)
        assert buried["Attributes"]["SentTimestamp"] == first["Attributes"]["SentTimestamp"]
        assert buried["Attributes"]["ApproximateReceiveCount"] == "1"

    def test_a_poll_at_the_dead_letter_queue_wakes(self, sqs: SQSClient, name: str) -> None:
        source, dead = with_dlq(sqs, name)
        sqs.send_message(QueueUrl=source, MessageBody="poison")
        receive(sqs, source)
        with ThreadPoolExecutor() as pool:
            poll = pool.submit(receive, sqs, dead, WaitTimeSeconds=20)
            receive(sqs, source)
            assert bodies(poll.result(90)) == ["poison"]

    def test_sources_of_a_dead_letter_queue_are_listed(self, sqs: SQSClient, name: str) -> None:
        source, dead = with_dlq(sqs, name)
        assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [source]
        assert sqs.list_dead_letter_source_queues(QueueUrl=source)["queueUrls"] == []

    def test_a_redrive_policy_reads_back_in_canonical_form_and_can_be_removed(
        self, sqs: SQSClient, name: str
    ) -> None:
        source, dead = with_dlq(sqs, name)
        policy = {"deadLetterTargetArn": arn(sqs, dead), "maxReceiveCount": "4"}
        sqs.set_queue_attributes(QueueUrl=source, Attributes={"RedrivePolicy": json.dumps(policy)})
        read = sqs.get_queue_attributes(QueueUrl=source, AttributeNames=["RedrivePolicy"])
        assert json.loads(read["Attributes"]["RedrivePolicy"])["maxReceiveCount"] == 4
        sqs.set_queue_attributes(QueueUrl=source, Attributes={"RedrivePolicy": ""})
        assert "Attributes" not in sqs.get_queue_attributes(
            QueueUrl=source, AttributeNames=["RedrivePolicy"]
        )

    def test_a_redrive_allow_policy_keeps_other_sources_out(
        self, sqs: SQSClient, name: str
    ) -> None:
        source, dead = with_dlq(sqs, name)
        allow = {"redrivePermission": "byQueue", "sourceQueueArns": [arn(sqs, source)]}
        sqs.set_queue_attributes(
            QueueUrl=dead, Attributes={"RedriveAllowPolicy": json.dumps(allow)}
        )
        policy = json.dumps({"deadLetterTargetArn": arn(sqs, dead), "maxReceiveCount": 2})
        sqs.set_queue_attributes(QueueUrl=source, Attributes={"RedrivePolicy": policy})
        stranger = refused(
            sqs.create_queue, QueueName=f"{name}-2", Attributes={"RedrivePolicy": policy}
        )
        assert stranger[0] == "InvalidParameterValue"


class TestMoveTasks:
    def buried(self, sqs: SQSClient, name: str, count: int) -> tuple[str, str]:
        source, dead = with_dlq(sqs, name)
        for i in range(count):
            sqs.send_message(QueueUrl=source, MessageBody=str(i))
        while receive(sqs, source, MaxNumberOfMessages=10):
            pass
        assert depth(sqs, dead)[0] == count
        return source, dead

    def finished(self, sqs: SQSClient, dead: str) -> Any:
        while True:
            [result] = sqs.list_message_move_tasks(SourceArn=arn(sqs, dead))["Results"]
            if result["Status"] != "RUNNING":
                return result

    def test_messages_go_back_to_their_source_as_new_ones(self, sqs: SQSClient, name: str) -> None:
        source, dead = self.buried(sqs, name, 3)
        assert sqs.start_message_move_task(SourceArn=arn(sqs, dead))["TaskHandle"]
        result = self.finished(sqs, dead)
        assert result["Status"] == "COMPLETED"
        assert result["ApproximateNumberOfMessagesMoved"] == 3
        assert "TaskHandle" not in result
        back = receive(sqs, source, MaxNumberOfMessages=10, AttributeNames=["All"])
        assert sorted(bodies(back)) == ["0", "1", "2"]
        assert {m["Attributes"]["ApproximateReceiveCount"] for m in back} == {"1"}
        assert not any("DeadLetterQueueSourceArn" in m["Attributes"] for m in back)

    def test_another_destination_may_be_named(self, sqs: SQSClient, name: str) -> None:
        _, dead = self.buried(sqs, name, 1)
        other = sqs.create_queue(QueueName=f"{name}-other")["QueueUrl"]
        sqs.start_message_move_task(SourceArn=arn(sqs, dead), DestinationArn=arn(sqs, other))
        assert self.finished(sqs, dead)["Status"] == "COMPLETED"
        assert depth(sqs, other)[0] == 1

    def test_a_slow_task_excludes_a_second_and_can_be_cancelled(
        self, sqs: SQSClient, name: str
    ) -> None:
        _, dead = self.buried(sqs, name, 20)
        source_arn = arn(sqs, dead)
        started = sqs.start_message_move_task(SourceArn=source_arn, MaxNumberOfMessagesPerSecond=1)
        with pytest.raises(sqs.exceptions.UnsupportedOperation):
            sqs.start_message_move_task(SourceArn=source_arn)
        cancelled = sqs.cancel_message_move_task(TaskHandle=started["TaskHandle"])
        assert cancelled["ApproximateNumberOfMessagesMoved"] < 20
        assert self.finished(sqs, dead)["Status"] == "CANCELLED"
        with pytest.raises(sqs.exceptions.ResourceNotFoundException):
            sqs.cancel_message_move_task(TaskHandle=started["TaskHandle"])

    def test_only_a_dead_letter_queue_can_be_moved_from(self, sqs: SQSClient, url: str) -> None:
        code = refused(sqs.start_message_move_task, SourceArn=arn(sqs, url))[0]
        assert code == "InvalidParameterValue"
        with pytest.raises(sqs.exceptions.ResourceNotFoundException):
            sqs.start_message_move_task(SourceArn="arn:aws:sqs:ap-northeast-1:0:nowhere")


class TestWire:
    def post(
        self, aws: RunningEmulator, body: bytes, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], Any]:
        connection = http.client.HTTPConnection(aws.host, aws.port)
        try:
            connection.request("POST", "/", body, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), json.loads(answer.read())
        finally:
            connection.close()

    def test_errors_carry_the_type_and_the_older_name(self, aws: RunningEmulator) -> None:
        headers = {"X-Amz-Target": "AmazonSQS.GetQueueUrl"}
        status, answered, body = self.post(aws, b'{"QueueName": "none"}', headers)
        assert status == 400
        assert body["__type"] == "com.amazonaws.sqs#QueueDoesNotExist"
        assert answered["x-amzn-query-error"] == "AWS.SimpleQueueService.NonExistentQueue;Sender"

    @pytest.mark.parametrize(
        ("target", "body", "kind"),
        [
            ("Frobnicate", b"{}", "UnknownOperationException"),
            ("SendMessage", b"{", "SerializationException"),
            ("SendMessage", b'{"QueueUrl": "http://h/0/q"}', "MissingParameter"),
            ("SendMessage", b'{"QueueUrl": 3, "MessageBody": "x"}', "InvalidParameterValue"),
        ],
    )
    def test_malformed_requests_get_a_clear_error(
        self, aws: RunningEmulator, target: str, body: bytes, kind: str
    ) -> None:
        status, _, answer = self.post(aws, body, {"X-Amz-Target": f"AmazonSQS.{target}"})
        assert (status, answer["__type"]) == (400, f"com.amazonaws.sqs#{kind}")

    def test_the_query_protocol_is_refused_by_name(self, aws: RunningEmulator) -> None:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        status, _, answer = self.post(aws, b"Action=ListQueues", headers)
        assert status == 400
        assert "query protocol" in answer["message"]

    def test_chunked_and_pipelined_requests_are_answered_in_order(
        self, aws: RunningEmulator, url: str
    ) -> None:
        head = b"POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: AmazonSQS.SendMessage\r\n"
        body = json.dumps({"QueueUrl": url, "MessageBody": "x"}).encode()
        cut = len(body) // 2
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in (body[:cut], body[cut:]))
        plain = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
        chunked = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
        last = plain.replace(b"Host: h\r\n", b"Host: h\r\nConnection: close\r\n", 1)
        with socket.create_connection((aws.host, aws.port)) as connection:
            connection.sendall(chunked + plain + last)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        assert answer.count(b"HTTP/1.1 200 OK") == 3
        assert answer.count(b"MessageId") == 3

    @pytest.mark.parametrize(
        ("request_text", "status"),
        [
            (b"nonsense\r\n\r\n", b"400"),
            (b"POST / HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", b"431"),
            (b"POST / HTTP/1.1\r\nContent-Length: 20000000\r\n\r\n" + b"x" * 17_000_000, b"413"),
        ],
    )
    def test_what_is_not_http_or_too_large_is_refused(
        self, aws: RunningEmulator, request_text: bytes, status: bytes
    ) -> None:
        with socket.create_connection((aws.host, aws.port)) as connection:
            # the server may answer and close before it has read everything
            sender = threading.Thread(target=self.send_quietly, args=(connection, request_text))
            sender.start()
            answer = connection.recv(65536)
            sender.join()
        assert answer.startswith(b"HTTP/1.1 " + status)

    @staticmethod
    def send_quietly(connection: socket.socket, data: bytes) -> None:
        with contextlib.suppress(OSError):
            connection.sendall(data)


class TestFaults:
    def test_injected_errors_reach_the_caller_and_change_nothing(
        self, aws: RunningEmulator, sqs: SQSClient, url: str
    ) -> None:
        expected = {
            "http500": ("InternalError", 500),
            "http503": ("ServiceUnavailable", 503),
            "throttle": ("RequestThrottled", 400),
            "expired_token": ("ExpiredToken", 403),
            "access_denied": ("AccessDenied", 403),
        }
        for kind, answer in expected.items():
            aws.inject(FaultRule(kind=kind, action="SendMessage"))  # type: ignore[arg-type]
            assert refused(sqs.send_message, QueueUrl=url, MessageBody="x") == answer
        aws.heal()
        assert depth(sqs, url) == (0, 0, 0)

    def test_a_reset_does_nothing_and_a_lost_reply_does_it_unseen(
        self, aws: RunningEmulator, sqs: SQSClient, url: str
    ) -> None:
        for kind, sent in (("reset", 0), ("lose_reply", 1)):
            aws.inject(FaultRule(kind=kind, action="SendMessage"))  # type: ignore[arg-type]
            with pytest.raises(ConnectionClosedError):
                sqs.send_message(QueueUrl=url, MessageBody="x")
            assert depth(sqs, url)[0] == sent

    def test_a_hanging_call_goes_on_when_healed(
        self, aws: RunningEmulator, sqs: SQSClient, url: str
    ) -> None:
        aws.reset_calls()
        aws.inject(FaultRule(kind="hang", action="SendMessage"))
        with ThreadPoolExecutor() as pool:
            held = pool.submit(sqs.send_message, QueueUrl=url, MessageBody="x")
            while not aws.calls()["sqs"].get("SendMessage"):
                pass
            assert depth(sqs, url) == (0, 0, 0)
            aws.heal()
            assert held.result(90)["MessageId"]

    def test_a_partial_failure_names_the_entries_it_left_out(
        self, aws: RunningEmulator, sqs: SQSClient, url: str
    ) -> None:
        aws.inject(FaultRule(kind="partial", action="SendMessageBatch", fraction=0.5))
        all_done, all_left = 0, 0
        for _ in range(4):  # one alone may be taken, or left out, as a whole
            entries: Any = [{"Id": str(i), "MessageBody": str(i)} for i in range(10)]
            answer = sqs.send_message_batch(QueueUrl=url, Entries=entries)
            done = {entry["Id"] for entry in answer.get("Successful", [])}
            left = {entry["Id"] for entry in answer.get("Failed", [])}
            assert done | left == set("0123456789")
            assert not any(entry["SenderFault"] for entry in answer.get("Failed", []))
            assert set(bodies(receive(sqs, url, MaxNumberOfMessages=10))) == done
            all_done, all_left = all_done + len(done), all_left + len(left)
        assert all_done
        assert all_left

    def test_a_duplicate_comes_even_after_the_original_is_deleted(
        self, aws: RunningEmulator, sqs: SQSClient, url: str
    ) -> None:
        aws.inject(FaultRule(kind="duplicate", action="ReceiveMessage"))
        sqs.send_message(QueueUrl=url, MessageBody="x")
        [first] = receive(sqs, url)
        sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
        [second] = receive(sqs, url)
        assert second["MessageId"] == first["MessageId"]
        sqs.delete_message(QueueUrl=url, ReceiptHandle=second["ReceiptHandle"])
        assert receive(sqs, url) == []

    def test_messages_can_come_out_of_order(
        self, aws: RunningEmulator, sqs: SQSClient, url: str
    ) -> None:
        aws.inject(FaultRule(kind="reorder", action="ReceiveMessage", window=10))
        entries: Any = [{"Id": str(i), "MessageBody": str(i)} for i in range(10)]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)
        order = bodies(receive(sqs, url, MaxNumberOfMessages=10))
        assert order != sorted(order)
        assert sorted(order) == list("0123456789")

    def test_rules_are_set_shown_and_cleared_over_http(
        self, aws: RunningEmulator, sqs: SQSClient, url: str
    ) -> None:
        connection = http.client.HTTPConnection(aws.host, aws.port)

        def control(method: str, path: str, value: object = None) -> tuple[int, Any]:
            connection.request(method, f"/_emulator/{path}", json.dumps(value))
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

        rule = {"kind": "http500", "resource": url.rpartition("/")[2], "times": 1}
        assert control("PUT", "faults", [rule])[0] == 200
        assert refused(sqs.send_message, QueueUrl=url, MessageBody="x")[1] == 500
        sqs.send_message(QueueUrl=url, MessageBody="x")
        [shown] = control("GET", "faults")[1]
        assert (shown["matched"], shown["struck"]) == (2, 1)
        assert control("DELETE", "faults") == (200, [])
        assert control("PUT", "faults", [{"kind": "no"}])[0] == 400
        control("DELETE", "calls")
        depth(sqs, url)
        assert control("GET", "calls")[1] == {"sqs": {"GetQueueAttributes": 1}}
        assert control("GET", "health")[1]["services"] == ["sqs"]
        assert control("GET", "nonsense")[0] == 404
        connection.close()
