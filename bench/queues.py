"""Makes the product's queues in the SQS emulator, as a deployment has them."""

import json
from typing import TYPE_CHECKING

from config.queues import dead_letter_name, declared, sqs_name

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


def create_all(client: "SQSClient") -> None:
    """Every declared queue with its dead letters."""
    for name, row in declared().queues.items():
        letters = client.create_queue(QueueName=dead_letter_name(name))["QueueUrl"]
        found = client.get_queue_attributes(QueueUrl=letters, AttributeNames=["QueueArn"])
        policy = {
            "deadLetterTargetArn": found["Attributes"]["QueueArn"],
            "maxReceiveCount": str(row.max_receives),
        }
        client.create_queue(
            QueueName=sqs_name(name),
            Attributes={
                "VisibilityTimeout": str(row.visibility_seconds),
                "RedrivePolicy": json.dumps(policy),
            },
        )


def left(client: "SQSClient", url: str) -> int:
    """How many messages a queue still holds, in flight or not."""
    found = client.get_queue_attributes(
        QueueUrl=url,
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )
    return sum(map(int, found["Attributes"].values()))
