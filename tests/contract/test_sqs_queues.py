"""Queues and what is provisioned around them, on the SQS emulator."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from botocore.exceptions import ClientError

from adapters.aws_clients import AwsClients
from adapters.provision import provision
from adapters.sqs_queues import Depth, SqsQueues
from config.queues import dead_letter_name, declared, sqs_name
from config.settings import Settings
from domain.errors import Transient
from tests.fakes import RecordingMetrics

QUEUE = sqs_name("feature-sync")


@pytest.fixture
def metrics() -> RecordingMetrics:
    return RecordingMetrics()


@pytest.fixture
def queues(aws: AwsClients, metrics: RecordingMetrics) -> SqsQueues:
    aws.sqs.purge_queue(QueueUrl=aws.sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"])
    return SqsQueues(aws, metrics)


def test_every_message_has_an_outcome(queues: SqsQueues, metrics: RecordingMetrics) -> None:
    outcomes = queues.send_batch(QUEUE, [f"body {at}" for at in range(25)])
    assert [outcome.sent for outcome in outcomes] == [True] * 25
    assert queues.depth(QUEUE) == Depth(visible=25, in_flight=0, delayed=0)
    assert metrics.counted["sqs_requests_total", "SendMessageBatch"] == 3


def test_a_request_holds_no_more_than_servers_with_the_older_limit_take(
    queues: SqsQueues, metrics: RecordingMetrics
) -> None:
    outcomes = queues.send_batch(QUEUE, ["x" * 100_000] * 5)
    assert all(outcome.sent for outcome in outcomes)
    assert metrics.counted["sqs_requests_total", "SendMessageBatch"] == 3


def test_only_the_refused_entry_fails(queues: SqsQueues) -> None:
    good, bad, also_good = queues.send_batch(QUEUE, ["a", "\x00", "b"])
    assert (good.sent, also_good.sent) == (True, True)
    assert (bad.sent, bad.final) == (False, True)


def test_a_delayed_message_is_not_visible_yet(queues: SqsQueues) -> None:
    queues.send_batch(QUEUE, ["body"], delay_seconds=600)
    assert queues.depth(QUEUE) == Depth(visible=0, in_flight=0, delayed=1)


def test_a_queue_that_is_not_there_yet_is_transient(queues: SqsQueues) -> None:
    with pytest.raises(Transient):
        queues.url("no-such-queue")


def test_provisioning_again_changes_nothing(aws: AwsClients) -> None:
    before = aws.sqs.list_queues()["QueueUrls"]
    provision(Settings(), declared(), aws)
    assert aws.sqs.list_queues()["QueueUrls"] == before


def test_a_message_size_is_left_to_the_server(aws: AwsClients) -> None:
    url = aws.sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
    aws.sqs.set_queue_attributes(QueueUrl=url, Attributes={"MaximumMessageSize": "262144"})
    provision(Settings(), declared(), aws)
    assert _attributes(aws, QUEUE)["MaximumMessageSize"] == "262144"


@pytest.mark.parametrize(
    "code", ["InvalidAttributeName", "AWS.SimpleQueueService.UnsupportedOperation"]
)
def test_a_server_that_knows_no_redrive_allow_policy_is_provisioned_all_the_same(
    aws: AwsClients, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    with _refusing_redrive_allow_policy(aws, code):
        provision(Settings(), declared(), aws)
    assert "takes no RedriveAllowPolicy" in caplog.text
    source, dead = _attributes(aws, QUEUE), _attributes(aws, dead_letter_name("feature-sync"))
    assert dead["QueueArn"] in source["RedrivePolicy"]


def test_a_refusal_of_another_sort_is_not_passed_over(aws: AwsClients) -> None:
    with _refusing_redrive_allow_policy(aws, "AccessDenied"), pytest.raises(Transient):
        provision(Settings(), declared(), aws)


@pytest.mark.parametrize("name", declared().queues)
def test_a_queue_has_its_declared_attributes_and_dead_letters(aws: AwsClients, name: str) -> None:
    row = declared().queues[name]
    source, dead = _attributes(aws, sqs_name(name)), _attributes(aws, dead_letter_name(name))
    assert source["VisibilityTimeout"] == str(row.visibility_seconds)
    assert source["MessageRetentionPeriod"] == str(row.retention_days * 86_400)
    assert json.loads(source["RedrivePolicy"]) == {
        "deadLetterTargetArn": dead["QueueArn"],
        "maxReceiveCount": row.max_receives,
    }
    assert dead["MessageRetentionPeriod"] == str(row.dead_letter_retention_days * 86_400)
    assert json.loads(dead["RedriveAllowPolicy"]) == {
        "redrivePermission": "byQueue",
        "sourceQueueArns": [source["QueueArn"]],
    }


def test_tables_expire_their_items(aws: AwsClients) -> None:
    for name in ("sessions", "users", "parked", "catalogue"):
        answer = aws.dynamodb.describe_time_to_live(TableName=f"mangaassist-{name}")
        assert answer["TimeToLiveDescription"] == {
            "TimeToLiveStatus": "ENABLED",
            "AttributeName": "expires_at",
        }


@contextmanager
def _refusing_redrive_allow_policy(aws: AwsClients, code: str) -> Iterator[None]:
    """Answer as a server would that does not take this one attribute."""

    def refuse(params: Mapping[str, Mapping[str, str]], **_: object) -> None:
        if "RedriveAllowPolicy" in params["Attributes"]:
            raise ClientError({"Error": {"Code": code}}, "SetQueueAttributes")

    event = "provide-client-params.sqs.SetQueueAttributes"
    aws.sqs.meta.events.register(event, refuse)
    try:
        yield
    finally:
        aws.sqs.meta.events.unregister(event, refuse)


def _attributes(aws: AwsClients, name: str) -> dict[str, str]:
    url = aws.sqs.get_queue_url(QueueName=name)["QueueUrl"]
    answer = aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    return {str(key): value for key, value in answer["Attributes"].items()}
