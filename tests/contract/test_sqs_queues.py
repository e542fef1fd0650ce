"""Queues and what is provisioned around them, on the SQS emulator."""

import json

import pytest

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


def test_a_request_holds_no_more_than_a_mebibyte(
    queues: SqsQueues, metrics: RecordingMetrics
) -> None:
    outcomes = queues.send_batch(QUEUE, ["x" * 400_000] * 5)
    assert all(outcome.sent for outcome in outcomes)
    assert metrics.counted["sqs_requests_total", "SendMessageBatch"] == 3


def test_only_the_refused_entry_fails(queues: SqsQueues) -> None:
    good, bad, also_good = queues.send_batch(QUEUE, ["a", "\x00", "b"])
    assert (good.sent, also_good.sent) == (True, True)
    assert (bad.sent, bad.final) == (False, True)


def test_a_message_is_received_hidden_shown_and_deleted(queues: SqsQueues) -> None:
    queues.send_batch(QUEUE, ["body"])
    [message] = queues.receive(QUEUE, 10, hide_seconds=60)
    assert (message.body, message.receives) == ("body", 1)
    assert queues.depth(QUEUE).in_flight == 1
    queues.hide(QUEUE, message.receipt, 0)
    [again] = queues.receive(QUEUE, 10, hide_seconds=60)
    assert (again.id, again.receives) == (message.id, 2)
    queues.delete(QUEUE, again.receipt)
    assert queues.depth(QUEUE) == Depth(visible=0, in_flight=0, delayed=0)


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


def _attributes(aws: AwsClients, name: str) -> dict[str, str]:
    url = aws.sqs.get_queue_url(QueueName=name)["QueueUrl"]
    answer = aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    return {str(key): value for key, value in answer["Attributes"].items()}
