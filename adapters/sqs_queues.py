"""The queues in SQS for those who send to them or look at them; workers have their own transport.

SendMessageBatch answers 200 while entries fail, so that every entry has an outcome of its own. A
message whose reply was lost is sent twice: each carries event ids. Every method raises Transient or
Permanent where SQS refuses the whole request. Needs sqs:GetQueueUrl, SendMessage and
GetQueueAttributes. Names are those in SQS.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapters.aws_clients import AwsClients
from adapters.aws_errors import translated
from config.queues import MAX_BATCH_BYTES, MAX_BATCH_MESSAGES
from domain.errors import MangaAssistError, Permanent
from domain.ports import TaskMetrics

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef


@dataclass(frozen=True, slots=True)
class Message:
    """A message to be sent; `trace` is X-Ray's header, which SQS carries beside the body."""

    body: str
    trace: str = ""


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
        """Send bodies; see `send_messages`."""
        return self.send_messages(queue, list(map(Message, bodies)), delay_seconds)

    def send_messages(
        self, queue: str, messages: Sequence[Message], delay_seconds: int = 0
    ) -> list[Outcome]:
        """Send messages, ten in a request; the outcome of each, in order.

        Raises where the first request fails as a whole; after that its entries say so, because
        those of the requests before it are sent. Final is then only what was sent alone, since one
        bad message has a whole request refused.
        """
        outcomes: list[Outcome] = []
        for batch in _batches(messages):
            try:
                outcomes += self._send(queue, batch, delay_seconds)
            except MangaAssistError as error:
                if not outcomes:
                    raise
                final = isinstance(error, Permanent) and len(batch) == 1
                outcomes += [Outcome(type(error).__name__, final)] * len(batch)
        return outcomes

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

    def _send(self, queue: str, messages: Sequence[Message], delay_seconds: int) -> list[Outcome]:
        url = self.url(queue)
        with translated("sqs"):
            answer = self._client("SendMessageBatch").send_message_batch(
                QueueUrl=url,
                Entries=[
                    _entry(str(at), message, delay_seconds) for at, message in enumerate(messages)
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
            for at in range(len(messages))
        ]

    def _client(self, action: str) -> "SQSClient":
        if self._metrics is not None:
            self._metrics.count("sqs_requests_total", action=action)
        return self._aws.sqs


def _entry(
    entry_id: str, message: Message, delay_seconds: int
) -> "SendMessageBatchRequestEntryTypeDef":
    entry: SendMessageBatchRequestEntryTypeDef = {
        "Id": entry_id,
        "MessageBody": message.body,
        "DelaySeconds": delay_seconds,
    }
    if message.trace:
        entry["MessageSystemAttributes"] = {
            "AWSTraceHeader": {"DataType": "String", "StringValue": message.trace}
        }
    return entry


def _batches(messages: Sequence[Message]) -> Iterator[list[Message]]:
    batch: list[Message] = []
    size = 0
    for message in messages:
        weight = len(message.body.encode())
        if batch and (len(batch) == MAX_BATCH_MESSAGES or size + weight > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += weight
    if batch:
        yield batch
