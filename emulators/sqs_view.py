"""What a receiver sees of a message: only the attributes it asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulators import sqs_contents, sqs_errors
from emulators.sqs_entries import receipt_of
from emulators.sqs_shapes import Delivered, ReceiveMessage

if TYPE_CHECKING:
    from emulators.sqs_queue import Message
    from emulators.sqs_store import Queue

TRACE_HEADER = "AWSTraceHeader"


class ReceiverView:
    """Which attributes a receiver asked for."""

    SYSTEM = frozenset(
        {
            "All",
            "SenderId",
            "SentTimestamp",
            "ApproximateReceiveCount",
            "ApproximateFirstReceiveTimestamp",
            "SequenceNumber",
            "MessageDeduplicationId",
            "MessageGroupId",
            TRACE_HEADER,
            "DeadLetterQueueSourceArn",
        }
    )

    def __init__(self, request: ReceiveMessage) -> None:
        self._system = {*request.attribute_names, *request.message_system_attribute_names}
        self._wanted = request.message_attribute_names
        unknown = self._system - self.SYSTEM
        if unknown:
            raise sqs_errors.unknown_attribute(min(unknown))

    def of(self, queue: Queue, message: Message, account: str) -> Delivered:
        attributes = message.attributes
        if attributes:
            attributes = sqs_contents.selected(attributes, self._wanted)
        whole = len(attributes) == len(message.attributes)
        digest = message.attributes_md5 if whole else sqs_contents.attributes_md5(attributes)
        return Delivered(
            MessageId=message.message_id,
            ReceiptHandle=receipt_of(queue, message),
            MD5OfBody=message.body_md5,
            Body=message.body,
            Attributes=self._system_attributes(message, account) if self._system else {},
            MD5OfMessageAttributes=digest if attributes else "",
            MessageAttributes=attributes,
        )

    def _system_attributes(self, message: Message, account: str) -> dict[str, str]:
        every = {
            "SenderId": account,
            "SentTimestamp": str(int(message.sent_at * 1000)),
            "ApproximateReceiveCount": str(message.receive_count),
            "ApproximateFirstReceiveTimestamp": str(int(message.first_received_at * 1000)),
            "MessageGroupId": message.group_id,
            TRACE_HEADER: message.trace_header,
            "DeadLetterQueueSourceArn": message.source_arn,
        }
        take_all = "All" in self._system
        return {n: v for n, v in every.items() if v and (take_all or n in self._system)}
