"""The message half of SQS: send, receive, delete, change visibility, singly and in batches."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import msgspec

from emulators import sqs_contents, sqs_errors
from emulators.sqs_entries import check_batch, check_range, read_receipt, sift
from emulators.sqs_queue import AttributeValue, Message
from emulators.sqs_shapes import (
    AttributeMap,
    BatchReply,
    ChangeMessageVisibility,
    ChangeMessageVisibilityBatch,
    DeleteMessage,
    DeleteMessageBatch,
    Done,
    Outgoing,
    Received,
    ReceiveMessage,
    SendMessage,
    SendMessageBatch,
    Sent,
)
from emulators.sqs_view import TRACE_HEADER, ReceiverView

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from emulators.sqs_polling import Polling
    from emulators.sqs_store import Queue, QueueStore
    from emulators.wire import Call

MAX_RECEIVE = 10
MAX_DELAY_SECONDS = 900
MAX_VISIBILITY_SECONDS = 43_200
MAX_WAIT_SECONDS = 20


class MessageActions:
    def __init__(self, store: QueueStore, polling: Polling, account: str) -> None:
        self._store = store
        self._polling = polling
        self._account = account

    # --- send ---

    def send(self, queue: Queue, request: SendMessage, call: Call) -> Sent:
        del call
        message = self._checked_message(queue, request)
        self._store.send(queue, [message])
        self._polling.notify(queue)
        return _sent(message)

    def send_batch(self, queue: Queue, request: SendMessageBatch, call: Call) -> BatchReply:
        check_batch(request.entries, "SendMessageBatchRequestEntry")
        self._check_batch_size(request.entries)
        messages: list[Message] = []
        good, failed = sift(
            call,
            request.entries,
            lambda entry: messages.append(self._checked_message(queue, entry)),
        )
        if messages:
            self._store.send(queue, messages)
            self._polling.notify(queue)
        sent = [_sent(m, entry.id) for entry, m in zip(good, messages, strict=True)]
        return BatchReply(sent, failed)

    @staticmethod
    def _check_batch_size(entries: Sequence[Outgoing]) -> None:
        total = sum(
            sqs_contents.size_bytes(e.message_body.encode(), e.message_attributes) for e in entries
        )
        if total > sqs_contents.MAX_MESSAGE_BYTES:
            raise sqs_errors.batch(
                "BatchRequestTooLong",
                f"Batch requests cannot be longer than {sqs_contents.MAX_MESSAGE_BYTES} bytes. "
                f"You have sent {total} bytes.",
            )

    def _checked_message(self, queue: Queue, given: Outgoing) -> Message:
        sqs_contents.check_body(given.message_body)
        body = given.message_body.encode()
        attributes = given.message_attributes
        if attributes:
            sqs_contents.check_attributes(attributes)
        size = sqs_contents.size_bytes(body, attributes)
        sqs_contents.check_size(size, queue.settings.max_message_bytes)
        if given.message_group_id is not None:
            sqs_contents.check_group_id(given.message_group_id)
        if given.message_deduplication_id is not None:
            raise sqs_errors.invalid_value(
                given.message_deduplication_id,
                "MessageDeduplicationId",
                "The request includes a parameter that is not valid for this queue type.",
            )
        now = self._store.clock()
        message_id = str(uuid.uuid4())
        return Message(
            key=message_id,
            message_id=message_id,
            body=given.message_body,
            body_md5=sqs_contents.md5(body),
            sent_at=now,
            attributes=attributes,
            attributes_md5=sqs_contents.attributes_md5(attributes) if attributes else "",
            trace_header=_trace_header(given.message_system_attributes),
            group_id=given.message_group_id or "",
            due_at=now + _delay(queue, given.delay_seconds),
        )

    # --- receive ---

    def receive(
        self, queue: Queue, request: ReceiveMessage, call: Call
    ) -> Received | Coroutine[Any, Any, Received]:
        limit = _given(request.max_number_of_messages, 1)
        visibility = _given(request.visibility_timeout, queue.settings.visibility_seconds)
        wait = _given(request.wait_time_seconds, queue.settings.wait_seconds)
        check_range(limit, "MaxNumberOfMessages", 1, MAX_RECEIVE)
        check_range(visibility, "VisibilityTimeout", 0, MAX_VISIBILITY_SECONDS)
        check_range(wait, "WaitTimeSeconds", 0, MAX_WAIT_SECONDS)
        view = ReceiverView(request)

        def take() -> list[Message]:
            return self._take(queue, limit, visibility, call)

        messages = take()
        if messages or not wait:
            return self._delivered(queue, messages, view)
        return self._receive_later(queue, take, wait, view)

    async def _receive_later(
        self, queue: Queue, take: Callable[[], list[Message]], wait: float, view: ReceiverView
    ) -> Received:
        messages = await self._polling.wait_for(queue, take, wait)
        return self._delivered(queue, messages, view)

    def _take(self, queue: Queue, limit: int, visibility: float, call: Call) -> list[Message]:
        if call.delivery.shuffle_window:
            queue.messages.shuffle_head(call.delivery.shuffle_window, self._polling.rng)
        taken, dead_letters = self._store.take(queue, limit, visibility)
        if dead_letters is not None:
            self._polling.notify(dead_letters)
        if call.delivery.duplicate_probability:
            self._repeat(queue, taken.delivered, call.delivery.duplicate_probability)
        return taken.delivered

    def _repeat(self, queue: Queue, messages: list[Message], probability: float) -> None:
        """Put a copy of some messages back: it comes again even if the original is deleted."""
        for message in messages:
            original = message.key == message.message_id
            if original and self._polling.rng.random() < probability:
                copy = msgspec.structs.replace(message, key=f"{message.key}#{uuid.uuid4().hex[:8]}")
                queue.messages.add(copy)
        self._polling.notify(queue)

    def _delivered(self, queue: Queue, messages: list[Message], view: ReceiverView) -> Received:
        return Received([view.of(queue, message, self._account) for message in messages])

    # --- delete ---

    def delete(self, queue: Queue, request: DeleteMessage, call: Call) -> None:
        del call
        self._delete(queue, [request.receipt_handle])

    def delete_batch(self, queue: Queue, request: DeleteMessageBatch, call: Call) -> BatchReply:
        check_batch(request.entries, "DeleteMessageBatchRequestEntry")
        good, failed = sift(
            call, request.entries, lambda entry: read_receipt(queue, entry.receipt_handle)
        )
        self._delete(queue, [entry.receipt_handle for entry in good])
        return BatchReply([Done(entry.id) for entry in good], failed)

    def _delete(self, queue: Queue, handles: list[str]) -> None:
        """A handle older than the last receive deletes nothing, and is no error."""
        keys: list[str] = []
        for handle in handles:
            key, count = read_receipt(queue, handle)
            message = queue.messages.find(key)
            if message is not None and message.receive_count == count:
                keys.append(key)
        if keys:
            self._store.remove(queue, keys)

    # --- visibility ---

    def change(self, queue: Queue, request: ChangeMessageVisibility, call: Call) -> None:
        del call
        self._change(queue, request.receipt_handle, request.visibility_timeout)
        self._polling.notify(queue)

    def change_batch(
        self, queue: Queue, request: ChangeMessageVisibilityBatch, call: Call
    ) -> BatchReply:
        check_batch(request.entries, "ChangeMessageVisibilityBatchRequestEntry")
        good, failed = sift(
            call,
            request.entries,
            lambda e: self._change(queue, e.receipt_handle, _required(e.visibility_timeout)),
        )
        self._polling.notify(queue)
        return BatchReply([Done(entry.id) for entry in good], failed)

    def _change(self, queue: Queue, handle: str, seconds: int) -> None:
        check_range(seconds, "VisibilityTimeout", 0, MAX_VISIBILITY_SECONDS)
        key, count = read_receipt(queue, handle)
        now = queue.messages.settle()
        message = queue.messages.find(key)
        if message is None or message.receive_count != count:
            raise sqs_errors.not_available(handle)
        if int(now - message.received_at) + seconds > MAX_VISIBILITY_SECONDS:
            raise sqs_errors.invalid_value(
                seconds,
                "VisibilityTimeout",
                "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]",
            )
        # the service accepts a lapsed handle and leaves the message visible
        queue.messages.change_visibility(message, seconds)


def _given(value: int | None, default: int) -> int:
    return default if value is None else value


def _required(visibility: int | None) -> int:
    if visibility is None:
        raise sqs_errors.missing("VisibilityTimeout")
    return visibility


def _delay(queue: Queue, seconds: int | None) -> int:
    if seconds is None:
        return queue.settings.delay_seconds
    if not 0 <= seconds <= MAX_DELAY_SECONDS:
        reason = f"DelaySeconds must be >= 0 and <= {MAX_DELAY_SECONDS}."
        raise sqs_errors.invalid_value(seconds, "DelaySeconds", reason)
    return seconds


def _trace_header(attributes: AttributeMap) -> str:
    for name, attribute in attributes.items():
        if name != TRACE_HEADER:
            raise sqs_errors.invalid_parameters(
                f"Message system attribute name '{name}' is invalid."
            )
        if attribute.data_type != "String" or not attribute.string_value:
            raise sqs_errors.invalid_parameters(
                f"The message system attribute '{name}' must be a non-empty String."
            )
        return attribute.string_value
    return ""


def _sent(message: Message, entry_id: str = "") -> Sent:
    system = ""
    if message.trace_header:
        value = AttributeValue(data_type="String", string_value=message.trace_header)
        system = sqs_contents.attributes_md5({TRACE_HEADER: value})
    return Sent(
        MessageId=message.message_id,
        MD5OfMessageBody=message.body_md5,
        MD5OfMessageAttributes=message.attributes_md5,
        MD5OfMessageSystemAttributes=system,
        Id=entry_id,
    )
