"""What a send tells of each message where SQS refuses whole requests."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError

from adapters.sqs_queues import Outcome, SqsQueues
from domain.errors import Permanent

if TYPE_CHECKING:
    from adapters.aws_clients import AwsClients


class RefusingAws:
    """Refuses every request that holds `bad`, as a whole and for good."""

    def __init__(self) -> None:
        self.sqs = self

    def get_queue_url(self, *, QueueName: str) -> dict[str, str]:  # noqa: N803
        return {"QueueUrl": QueueName}

    def send_message_batch(self, *, QueueUrl: str, Entries: Sequence[Any]) -> object:  # noqa: N803
        if any(entry["MessageBody"] == "bad" for entry in Entries):
            answer: Any = {"Error": {"Code": "InvalidMessageContents"}}
            raise ClientError(answer, "SendMessageBatch")
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}


def queues() -> SqsQueues:
    return SqsQueues(cast("AwsClients", RefusingAws()))


def test_a_message_is_not_given_up_for_another_one_in_its_request() -> None:
    outcomes = queues().send_batch("q", ["good"] * 10 + ["good", "bad"])
    assert outcomes == [Outcome()] * 10 + [Outcome("Permanent", final=False)] * 2


def test_a_message_refused_alone_is_given_up() -> None:
    outcomes = queues().send_batch("q", ["good"] * 10 + ["bad"])
    assert outcomes == [Outcome()] * 10 + [Outcome("Permanent", final=True)]


def test_a_first_request_that_is_refused_raises() -> None:
    with pytest.raises(Permanent):
        queues().send_batch("q", ["bad", "good"])
