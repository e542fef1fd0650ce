"""The attributes of a queue: names, ranges, defaults, redrive policies. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from emulators import sqs_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

QUEUE_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
MAX_BY_QUEUE_ARNS = 10
DEFAULTS = {
    "DelaySeconds": "0",
    "MaximumMessageSize": "1048576",
    "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0",
    "SqsManagedSseEnabled": "true",
    "VisibilityTimeout": "30",
}
RANGES = {
    "DelaySeconds": (0, 900),
    "MaximumMessageSize": (1024, 1_048_576),
    "MessageRetentionPeriod": (60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 20),
    "VisibilityTimeout": (0, 43_200),
    "KmsDataKeyReusePeriodSeconds": (60, 86_400),
}
FREE = frozenset({"Policy", "KmsMasterKeyId"})
COMPUTED = frozenset(
    {
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesDelayed",
        "ApproximateNumberOfMessagesNotVisible",
        "CreatedTimestamp",
        "LastModifiedTimestamp",
        "QueueArn",
    }
)
FIFO_ONLY = frozenset(
    {"FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit"}
)
SETTABLE = frozenset({*DEFAULTS, *RANGES, *FREE, "RedrivePolicy", "RedriveAllowPolicy"})
READABLE = SETTABLE | COMPUTED | FIFO_ONLY


class RedrivePolicy(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    dead_letter_target_arn: str
    max_receive_count: int = 10


class RedriveAllowPolicy(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    redrive_permission: str = "allowAll"
    source_queue_arns: list[str] = []

    def allows(self, source_arn: str) -> bool:
        by_queue = self.redrive_permission == "byQueue" and source_arn in self.source_queue_arns
        return self.redrive_permission == "allowAll" or by_queue


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """The attributes, read once per change rather than once per request."""

    visibility_seconds: int
    delay_seconds: int
    wait_seconds: int
    retention_seconds: int
    max_message_bytes: int
    redrive: RedrivePolicy | None
    allow: RedriveAllowPolicy


def check_queue_name(name: str) -> None:
    if name.endswith(".fifo"):
        raise fifo_unsupported()
    if not QUEUE_NAME.fullmatch(name):
        raise sqs_errors.invalid_value(
            name,
            "QueueName",
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        )


def fifo_unsupported() -> Exception:
    return sqs_errors.unsupported("FIFO queues are not emulated: only standard queues are.")


def checked(given: Mapping[str, str]) -> dict[str, str]:
    """The given attributes in canonical form; an empty policy means "remove it"."""
    return {name: _checked_one(name, value) for name, value in given.items()}


def _checked_one(name: str, value: str) -> str:
    if name in FIFO_ONLY:
        raise fifo_unsupported()
    if name not in SETTABLE:
        raise sqs_errors.unknown_attribute(name)
    if name in RANGES:
        return _checked_number(name, value)
    if name == "SqsManagedSseEnabled" and value not in {"true", "false"}:
        raise sqs_errors.invalid_attribute(name)
    if name == "RedrivePolicy" and value:
        return msgspec.json.encode(_redrive_policy(value)).decode()
    if name == "RedriveAllowPolicy" and value:
        return msgspec.json.encode(_allow_policy(value)).decode()
    return value


def _checked_number(name: str, value: str) -> str:
    low, high = RANGES[name]
    if not (value.isascii() and value.isdigit() and low <= int(value) <= high):
        raise sqs_errors.invalid_attribute(name)
    return str(int(value))


def _redrive_policy(text: str) -> RedrivePolicy:
    try:
        policy = msgspec.json.decode(text, type=RedrivePolicy, strict=False)
    except msgspec.MsgspecError as error:
        raise sqs_errors.invalid_value(text, "RedrivePolicy", f"{error}.") from error
    if not 1 <= policy.max_receive_count <= 1000:  # noqa: PLR2004 - the range is the API's
        raise sqs_errors.invalid_value(
            text, "RedrivePolicy", "Invalid value for maxReceiveCount: must be from 1 to 1000."
        )
    return policy


def _allow_policy(text: str) -> RedriveAllowPolicy:
    try:
        policy = msgspec.json.decode(text, type=RedriveAllowPolicy)
    except msgspec.MsgspecError as error:
        raise sqs_errors.invalid_value(text, "RedriveAllowPolicy", f"{error}.") from error
    by_queue = policy.redrive_permission == "byQueue"
    known = by_queue or policy.redrive_permission in {"allowAll", "denyAll"}
    too_many = len(policy.source_queue_arns) > MAX_BY_QUEUE_ARNS
    if not known or too_many or bool(policy.source_queue_arns) != by_queue:
        raise sqs_errors.invalid_value(text, "RedriveAllowPolicy", "Amazon SQS can't read it.")
    return policy


def settings(attributes: Mapping[str, str]) -> QueueSettings:
    full = {**DEFAULTS, **attributes}
    redrive, allow = full.get("RedrivePolicy"), full.get("RedriveAllowPolicy")
    return QueueSettings(
        visibility_seconds=int(full["VisibilityTimeout"]),
        delay_seconds=int(full["DelaySeconds"]),
        wait_seconds=int(full["ReceiveMessageWaitTimeSeconds"]),
        retention_seconds=int(full["MessageRetentionPeriod"]),
        max_message_bytes=int(full["MaximumMessageSize"]),
        redrive=_redrive_policy(redrive) if redrive else None,
        allow=_allow_policy(allow) if allow else RedriveAllowPolicy(),
    )
