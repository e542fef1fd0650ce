"""The dead-letter queues as an operator's tools see them: look, give back, send again, delete.

Needs sqs:ReceiveMessage, ChangeMessageVisibility, DeleteMessage and GetQueueUrl on the `-dlq`
queues. At-least-once: what was sent again but not deleted will be seen once more.
Every method raises Transient or Permanent where SQS refuses the whole request.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapters.aws_clients import AwsClients
from adapters.aws_errors import translated
from adapters.sqs_queues import SqsQueues
from config.queues import MAX_BATCH_BYTES, MAX_BATCH_MESSAGES, dead_letter_name, sqs_name

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef


WAIT_SECONDS = 1
"""Long enough for SQS to ask all of its servers."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message of a dead-letter queue; `receipt` is good while the message is hidden."""

    queue: str
    id: str
    receipt: str
    body: str
    receives: int
    sent_at: float


class SqsDeadLetters:
    """The dead letters of every queue, which are named without prefix and suffix."""

    def __init__(self, aws: AwsClients, queues: SqsQueues) -> None:
        self._aws = aws
        self._queues = queues

    def receive(
        self, queue: str, hide_seconds: int, wait_seconds: int = WAIT_SECONDS
    ) -> list[DeadLetter]:
        """Up to ten messages, hidden for so long; none where there are none at the moment."""
        with translated("sqs"):
            answer = self._aws.sqs.receive_message(
                QueueUrl=self._queues.url(dead_letter_name(queue)),
                MaxNumberOfMessages=MAX_BATCH_MESSAGES,
                VisibilityTimeout=hide_seconds,
                WaitTimeSeconds=wait_seconds,
                MessageSystemAttributeNames=["All"],
            )
        return [_dead_letter(queue, message) for message in answer.get("Messages", [])]

    def release(self, letters: Sequence[DeadLetter]) -> None:
        """Show messages again at once. One that is shown already is no error."""

        def call(url: str, batch: Sequence[DeadLetter]) -> object:
            return self._aws.sqs.change_message_visibility_batch(
                QueueUrl=url,
                Entries=[
                    {"Id": str(at), "ReceiptHandle": letter.receipt, "VisibilityTimeout": 0}
                    for at, letter in enumerate(batch)
                ],
            )

        self._each_batch(letters, dead_letter_name, call)

    def send_again(self, letters: Sequence[DeadLetter]) -> dict[str, str]:
        """Send messages to their source queues; the ids of those not taken, with the reason."""
        refused: dict[str, str] = {}

        def call(url: str, batch: Sequence[DeadLetter]) -> None:
            answer = self._aws.sqs.send_message_batch(
                QueueUrl=url,
                Entries=[
                    {"Id": str(at), "MessageBody": letter.body} for at, letter in enumerate(batch)
                ],
            )
            refused.update(_failed(batch, answer))

        self._each_batch(letters, sqs_name, call)
        return refused

    def delete(self, letters: Sequence[DeadLetter]) -> dict[str, str]:
        """Delete messages; the ids of those that are still there, with the reason."""
        refused: dict[str, str] = {}

        def call(url: str, batch: Sequence[DeadLetter]) -> None:
            answer = self._aws.sqs.delete_message_batch(
                QueueUrl=url,
                Entries=[
                    {"Id": str(at), "ReceiptHandle": letter.receipt}
                    for at, letter in enumerate(batch)
                ],
            )
            refused.update(_failed(batch, answer))

        self._each_batch(letters, dead_letter_name, call)
        return refused

    def _each_batch(
        self,
        letters: Sequence[DeadLetter],
        name: Callable[[str], str],
        call: Callable[[str, Sequence[DeadLetter]], object],
    ) -> None:
        for batch in _batches(letters):
            with translated("sqs"):
                call(self._queues.url(name(batch[0].queue)), batch)


def _batches(letters: Sequence[DeadLetter]) -> list[list[DeadLetter]]:
    """Messages of one queue each, as many as one request may carry."""
    batches: list[list[DeadLetter]] = []
    size = 0
    for letter in letters:
        weight = len(letter.body.encode())
        size += weight
        last = batches[-1] if batches else []
        fits = last and last[0].queue == letter.queue and len(last) < MAX_BATCH_MESSAGES
        if fits and size <= MAX_BATCH_BYTES:
            last.append(letter)
        else:
            batches.append([letter])
            size = weight
    return batches


def _failed(batch: Sequence[DeadLetter], answer: Mapping[str, object]) -> dict[str, str]:
    rows = answer.get("Failed", [])
    assert isinstance(rows, list)  # noqa: S101 - boto3 has parsed it by its own model
    return {batch[int(row["Id"])].id: str(row.get("Code", "")) for row in rows}


def _dead_letter(queue: str, message: "MessageTypeDef") -> DeadLetter:
    attributes = message.get("Attributes", {})
    return DeadLetter(
        queue=queue,
        id=message["MessageId"],
        receipt=message["ReceiptHandle"],
        body=message["Body"],
        receives=int(attributes.get("ApproximateReceiveCount", 0)),
        sent_at=int(attributes.get("SentTimestamp", 0)) / 1000,
    )
