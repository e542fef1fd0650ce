"""Entries of a batch and receipt handles: what is refused whole, what fails alone. Pure."""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from typing import TYPE_CHECKING, Protocol, TypeVar

from emulators import sqs_errors
from emulators.sqs_shapes import Failure
from emulators.wire import ApiError, Call

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from emulators.sqs_queue import Message
    from emulators.sqs_store import Queue

MAX_BATCH = 10
MAX_ID_LENGTH = 80
ID_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


class Entry(Protocol):
    @property
    def id(self) -> str: ...


E = TypeVar("E", bound=Entry)


# --- receipts ---


def receipt_of(queue: Queue, message: Message) -> str:
    text = f"{queue.name}\n{message.key}\n{message.receive_count}"
    return base64.b64encode(text.encode()).decode()


def read_receipt(queue: Queue, handle: str) -> tuple[str, int]:
    try:
        name, key, count = base64.b64decode(handle, validate=True).decode().split("\n")
        if name == queue.name:
            return key, int(count)
    except (binascii.Error, ValueError):
        pass
    raise sqs_errors.invalid_receipt()


# --- batches ---


def check_batch(entries: Sequence[Entry], entry_type: str) -> None:
    if not entries:
        raise sqs_errors.batch(
            "EmptyBatchRequest", f"There should be at least one {entry_type} in the request."
        )
    if len(entries) > MAX_BATCH:
        raise sqs_errors.batch(
            "TooManyEntriesInBatchRequest",
            f"Maximum number of entries per request are {MAX_BATCH}. You have sent {len(entries)}.",
        )
    for entry in entries:
        if not 1 <= len(entry.id) <= MAX_ID_LENGTH or not ID_CHARACTERS.issuperset(entry.id):
            raise sqs_errors.batch(
                "InvalidBatchEntryId",
                "A batch entry id can only contain alphanumeric characters, hyphens and "
                f"underscores. It can be at most {MAX_ID_LENGTH} letters long.",
            )
    repeated, times = Counter(entry.id for entry in entries).most_common(1)[0]
    if times > 1:
        raise sqs_errors.batch("BatchEntryIdsNotDistinct", f"Id {repeated} repeated.")


def sift(
    call: Call, entries: Sequence[E], check: Callable[[E], object]
) -> tuple[list[E], list[Failure]]:
    """Split a batch into what passes `check` and what fails, injected failures included."""
    good: list[E] = []
    failed: list[Failure] = []
    for entry in entries:
        if call.entry_fails():
            message = "The request processing has failed because of an unknown error."
            failed.append(
                Failure(entry.id, SenderFault=False, Code="InternalError", Message=message)
            )
            continue
        try:
            check(entry)
            good.append(entry)
        except ApiError as error:
            code, message = error.query_code, error.message
            failed.append(Failure(entry.id, SenderFault=True, Code=code, Message=message))
    return good, failed


def check_range(value: int, name: str, low: int, high: int) -> None:
    if not low <= value <= high:
        reason = f"Must be between {low} and {high}, if provided."
        raise sqs_errors.invalid_value(value, name, reason)
