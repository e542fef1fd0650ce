"""The queues in SQS for those who send to them or look at them; workers have their own transport.

SendMessageBatch answers 200 while entries fail, so that every entry has an outcome of its own. A
message whose reply was lost is sent twice: each carries event ids. Every method raises Transient or
Permanent where SQS refuses the whole request. Needs sqs:GetQueueUrl, SendMessage, ReceiveMessage,
DeleteMessage, ChangeMessageVisibility and GetQueueAttributes. Names are those in SQS.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapters.aws_clients import AwsClients
from adapters.aws_errors import translated
from domain.errors import MangaAssistError, Permanent
from domain.ports import TaskMetrics

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

MAX_BATCH = 10
MAX_BATCH_BYTES = 1024 * 1024
"""The limits of SendMessageBatch, the bytes for all entries together."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one entry: an empty code if SQS took it; `final` if it never will."""

    code: str = ""
    final: bool = False

    @property
    def sent(self) -> bool:
        """Whether SQS has the message."""
        return not self.code


@dataclass(frozen=True, slots=True)
class Received:
    """One message; `receipt` is good until its visibility ends."""

    id: str
    receipt: str
    body: str
    receives: int
    sent_at: float


@dataclass(frozen=True, slots=True)
class Depth:
    """How many messages a queue holds, approximately, as SQS says it."""

    visible: int
    in_flight: int
    delayed: int


class SqsQueues:
    """Every queue of the account, by its name."""

    def __init__(self, aws: AwsClients, metrics: TaskMetrics | None = None) -> None:
        self._aws = aws
        self._metrics = metrics
        self._urls: dict[str, str] = {}

    def url(self, queue: str) -> str:
        """The URL of a queue, asked for once; Transient while there is no such queue."""
        if queue not in self._urls:
            with translated("sqs"):
                answer = self._client("GetQueueUrl").get_queue_url(QueueName=queue)
            self._urls[queue] = answer["QueueUrl"]
        return self._urls[queue]

    def send_batch(
        self, queue: str, bodies: Sequence[str], delay_seconds: int = 0
    ) -> list[Outcome]:
        """Send messages, ten in a request; the outcome of each, in order.

        Raises where the first request fails as a whole; after that its entries say so, because
        those of the requests before it are sent.
        """
        outcomes: list[Outcome] = []
        for batch in _batches(bodies):
            try:
                outcomes += self._send(queue, batch, delay_seconds)
            except MangaAssistError as error:
                if not outcomes:
                    raise
                final = isinstance(error, Permanent)
                outcomes += [Outcome(type(error).__name__, final)] * len(batch)
        return outcomes

    def receive(self, queue: str, count: int, hide_seconds: int) -> list[Received]:
        """Up to ten messages, hidden for so long."""
        url = self.url(queue)
        with translated("sqs"):
            answer = self._client("ReceiveMessage").receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=min(count, MAX_BATCH),
                VisibilityTimeout=hide_seconds,
                WaitTimeSeconds=1,
                MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
            )
        return [
            Received(
                id=message["MessageId"],
                receipt=message["ReceiptHandle"],
                body=message["Body"],
                receives=int(message["Attributes"]["ApproximateReceiveCount"]),
                sent_at=int(message["Attributes"]["SentTimestamp"]) / 1000,
            )
            for message in answer.get("Messages", [])
        ]

    def delete(self, queue: str, receipt: str) -> None:
        """Delete a received message."""
        url = self.url(queue)
        with translated("sqs"):
            self._client("DeleteMessage").delete_message(QueueUrl=url, ReceiptHandle=receipt)

    def hide(self, queue: str, receipt: str, seconds: int) -> None:
        """Keep a received message hidden for so long from now; 0 shows it at once."""
        url = self.url(queue)
        with translated("sqs"):
            self._client("ChangeMessageVisibility").change_message_visibility(
                QueueUrl=url, ReceiptHandle=receipt, VisibilityTimeout=seconds
            )

    def depth(self, queue: str) -> Depth:
        """How many messages there are."""
        url = self.url(queue)
        with translated("sqs"):
            answer = self._client("GetQueueAttributes").get_queue_attributes(
                QueueUrl=url,
                AttributeNames=[
                    "ApproximateNumberOfMessages",
                    "ApproximateNumberOfMessagesNotVisible",
                    "ApproximateNumberOfMessagesDelayed",
                ],
            )
        found = answer["Attributes"]
        return Depth(
            visible=int(found["ApproximateNumberOfMessages"]),
            in_flight=int(found["ApproximateNumberOfMessagesNotVisible"]),
            delayed=int(found["ApproximateNumberOfMessagesDelayed"]),
        )

    def _send(self, queue: str, bodies: Sequence[str], delay_seconds: int) -> list[Outcome]:
        url = self.url(queue)
        with translated("sqs"):
            answer = self._client("SendMessageBatch").send_message_batch(
                QueueUrl=url,
                Entries=[
                    {"Id": str(at), "MessageBody": body, "DelaySeconds": delay_seconds}
                    for at, body in enumerate(bodies)
                ],
            )
        failed: Mapping[str, Outcome] = {
            row["Id"]: Outcome(
                row["Code"], final=row["SenderFault"] and "Throttl" not in row["Code"]
            )
            for row in answer.get("Failed", [])
        }
        taken = {row["Id"] for row in answer.get("Successful", [])}
        return [
            Outcome() if str(at) in taken else failed.get(str(at), Outcome("NotAnswered"))
            for at in range(len(bodies))
        ]

    def _client(self, action: str) -> "SQSClient":
        if self._metrics is not None:
            self._metrics.count("sqs_requests_total", action=action)
        return self._aws.sqs


def url(queue: str) -> str:
    """The URL of a queue, for whoever needs nothing else of SQS."""
    return SqsQueues(AwsClients()).url(queue)


def _batches(bodies: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for body in bodies:
        weight = len(body.encode())
        if batch and (len(batch) == MAX_BATCH or size + weight > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(body)
        size += weight
    if batch:
        yield batch
