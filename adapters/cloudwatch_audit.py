"""The audit trail in CloudWatch Logs: one JSON line for each event, in a stream of this process.

At-least-once: a repeated request duplicates its lines, and each carries its event id. Lines older
than CloudWatch takes are filed under the oldest time that it does; `occurred_at` stays in the line.
The actor is a pseudonym. Needs logs:CreateLogStream and PutLogEvents on an existing log group.
"""

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from botocore.exceptions import ClientError

from adapters.aws_clients import AwsClients
from adapters.aws_errors import code_of, translated
from adapters.pseudonyms import Pseudonyms
from domain.answers import rfc3339
from domain.jobs import AppendAudit
from domain.ports import TOO_OLD, Clock

if TYPE_CHECKING:
    from mypy_boto3_logs.type_defs import InputLogEventTypeDef, RejectedLogEventsInfoTypeDef

MAX_EVENTS = 10_000
MAX_BATCH_BYTES = 1024 * 1024
EVENT_OVERHEAD_BYTES = 26
MAX_SPAN_MS = 24 * 3600 * 1000
"""The limits of PutLogEvents."""
OLDEST_SECONDS = 13 * 86_400
NEWEST_SECONDS = 3600
"""It rejects lines that are 14 days old or 2 hours ahead: these leave a margin."""

_encode = msgspec.json.Encoder().encode
_Timed = tuple[str, "InputLogEventTypeDef"]


class CloudWatchAudit:
    """Implements `domain.ports.AuditLog`."""

    def __init__(self, aws: AwsClients, group: str, pseudonyms: Pseudonyms, clock: Clock) -> None:
        self._aws = aws
        self._group = group
        self._pseudonyms = pseudonyms
        self._clock = clock

    def append(self, lines: Sequence[AppendAudit]) -> Mapping[str, str]:
        """Append lines; the event ids of those not taken, each with the reason."""
        left: dict[str, str] = {}
        now = self._clock()
        with translated("logs"):
            for batch in _batches([_timed(line, self._pseudonyms, now) for line in lines]):
                left |= self._append(batch, self._stream(now))
        return left

    def _append(self, batch: Sequence[_Timed], stream: str) -> dict[str, str]:
        events = [event for _, event in batch]
        try:
            answer = self._aws.logs.put_log_events(
                logGroupName=self._group, logStreamName=stream, logEvents=events
            )
        except ClientError as error:
            if code_of(error) != "ResourceNotFoundException":
                raise
            self._create(stream)
            answer = self._aws.logs.put_log_events(
                logGroupName=self._group, logStreamName=stream, logEvents=events
            )
        return _rejected(batch, answer.get("rejectedLogEventsInfo", {}))

    def _create(self, stream: str) -> None:
        try:
            self._aws.logs.create_log_stream(logGroupName=self._group, logStreamName=stream)
        except ClientError as error:
            if code_of(error) != "ResourceAlreadyExistsException":
                raise

    def _stream(self, now: float) -> str:
        day = datetime.fromtimestamp(now, UTC).date()
        return f"{day:%Y/%m/%d}/{socket.gethostname()}-{os.getpid()}"


def _timed(line: AppendAudit, pseudonyms: Pseudonyms, now: float) -> _Timed:
    document = {
        "event_id": line.event_id,
        "occurred_at": rfc3339(line.occurred_at),
        "action": line.action,
        "actor": pseudonyms.of(line.actor),
        "subject": line.subject,
        "outcome": line.outcome,
    }
    filed_at = min(max(line.occurred_at, now - OLDEST_SECONDS), now + NEWEST_SECONDS)
    return line.event_id, {
        "timestamp": int(filed_at * 1000),
        "message": _encode(document).decode(),
    }


def _batches(lines: list[_Timed]) -> Iterator[list[_Timed]]:
    """In order of time, each batch within the limits of one request."""
    batch: list[_Timed] = []
    size = 0
    for line in sorted(lines, key=lambda timed: timed[1]["timestamp"]):
        weight = len(line[1]["message"].encode()) + EVENT_OVERHEAD_BYTES
        if batch and (
            len(batch) == MAX_EVENTS
            or size + weight > MAX_BATCH_BYTES
            or line[1]["timestamp"] - batch[0][1]["timestamp"] > MAX_SPAN_MS
        ):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += weight
    if batch:
        yield batch


def _rejected(batch: Sequence[_Timed], info: "RejectedLogEventsInfoTypeDef") -> dict[str, str]:
    ids = [event_id for event_id, _ in batch]
    old_end = max(info.get("tooOldLogEventEndIndex", 0), info.get("expiredLogEventEndIndex", 0))
    new_start = info.get("tooNewLogEventStartIndex", len(ids))
    return dict.fromkeys(ids[:old_end], TOO_OLD) | dict.fromkeys(ids[new_start:], "too new")
