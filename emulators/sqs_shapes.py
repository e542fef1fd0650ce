"""The requests and replies of the message half of SQS, as they travel in JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from emulators.sqs_queue import AttributeValue

if TYPE_CHECKING:
    from collections.abc import Sequence

AttributeMap = dict[str, AttributeValue]


class Outgoing(msgspec.Struct, rename="pascal", kw_only=True):
    """What SendMessage and an entry of SendMessageBatch share."""

    message_body: str
    delay_seconds: int | None = None
    message_attributes: AttributeMap = {}
    message_system_attributes: AttributeMap = {}
    message_group_id: str | None = None
    message_deduplication_id: str | None = None


class SendMessage(Outgoing, rename="pascal", kw_only=True):
    queue_url: str


class SendEntry(Outgoing, rename="pascal", kw_only=True):
    id: str


class SendMessageBatch(msgspec.Struct, rename="pascal"):
    queue_url: str
    entries: list[SendEntry]


class ReceiveMessage(msgspec.Struct, rename="pascal"):
    queue_url: str
    attribute_names: list[str] = []
    message_system_attribute_names: list[str] = []
    message_attribute_names: list[str] = []
    max_number_of_messages: int | None = None
    visibility_timeout: int | None = None
    wait_time_seconds: int | None = None


class DeleteMessage(msgspec.Struct, rename="pascal"):
    queue_url: str
    receipt_handle: str


class DeleteEntry(msgspec.Struct, rename="pascal"):
    id: str
    receipt_handle: str


class DeleteMessageBatch(msgspec.Struct, rename="pascal"):
    queue_url: str
    entries: list[DeleteEntry]


class ChangeMessageVisibility(msgspec.Struct, rename="pascal"):
    queue_url: str
    receipt_handle: str
    visibility_timeout: int


class ChangeEntry(msgspec.Struct, rename="pascal"):
    id: str
    receipt_handle: str
    visibility_timeout: int | None = None


class ChangeMessageVisibilityBatch(msgspec.Struct, rename="pascal"):
    queue_url: str
    entries: list[ChangeEntry]


class Sent(msgspec.Struct, omit_defaults=True):
    MessageId: str
    MD5OfMessageBody: str
    MD5OfMessageAttributes: str = ""
    MD5OfMessageSystemAttributes: str = ""
    Id: str = ""


class Delivered(msgspec.Struct, omit_defaults=True):
    MessageId: str
    ReceiptHandle: str
    MD5OfBody: str
    Body: str
    Attributes: dict[str, str] = {}
    MD5OfMessageAttributes: str = ""
    MessageAttributes: AttributeMap = {}


class Done(msgspec.Struct):
    Id: str


class Failure(msgspec.Struct):
    Id: str
    SenderFault: bool
    Code: str
    Message: str


class BatchReply(msgspec.Struct):
    Successful: Sequence[Done | Sent]
    Failed: Sequence[Failure]


class Received(msgspec.Struct, omit_defaults=True):
    Messages: list[Delivered] = []
