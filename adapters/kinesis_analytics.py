"""The analytics stream in Kinesis: one JSON record for each event, partitioned by event id.

At-least-once: a record whose reply was lost is sent again, and every record carries its event id.
The attribute `user` leaves as a pseudonym. PutRecords answers 200 while entries fail, so that only
those are sent again. Needs kinesis:PutRecords on an existing stream.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from adapters.aws_clients import AwsClients
from adapters.aws_errors import translated
from adapters.pseudonyms import Pseudonyms
from domain.answers import rfc3339
from domain.errors import Transient
from domain.jobs import EmitAnalytics

if TYPE_CHECKING:
    from mypy_boto3_kinesis.type_defs import PutRecordsRequestEntryTypeDef

MAX_RECORDS = 500
MAX_REQUEST_BYTES = 5 * 1024 * 1024
"""Half of what a request may hold: the limit counts more than the data."""
TRIES = 4
BACKOFF_SECONDS = 0.1
USER = "user"
"""The attribute that names a user."""

_encode = msgspec.json.Encoder().encode


class KinesisAnalytics:
    """Implements `domain.ports.AnalyticsStream`."""

    def __init__(
        self,
        aws: AwsClients,
        stream: str,
        pseudonyms: Pseudonyms,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._aws = aws
        self._stream = stream
        self._pseudonyms = pseudonyms
        self._sleep = sleep

    def put(self, records: Sequence[EmitAnalytics]) -> Mapping[str, str]:
        """Send records; the event ids of those not taken, each with the reason.

        Raises Transient where none was taken: then it is the stream that fails, not a record.
        """
        left: dict[str, str] = {}
        for entries in _requests(records, self._pseudonyms):
            left |= self._put(entries)
        if left and len(left) == len({record.event_id for record in records}):
            codes = ", ".join(sorted(set(left.values())))
            raise Transient(f"kinesis took no record: {codes}", dependency="kinesis")
        return left

    def _put(self, entries: "list[PutRecordsRequestEntryTypeDef]") -> dict[str, str]:
        left: dict[str, str] = {}
        for attempt in range(TRIES):
            with translated("kinesis"):
                answer = self._aws.kinesis.put_records(StreamName=self._stream, Records=entries)
            failed = [
                (entry, row["ErrorCode"])
                for entry, row in zip(entries, answer["Records"], strict=True)
                if row.get("ErrorCode")
            ]
            left = {entry["PartitionKey"]: code for entry, code in failed}
            if not failed:
                break
            entries = [entry for entry, _ in failed]
            if attempt < TRIES - 1:
                self._sleep(random.uniform(0, BACKOFF_SECONDS * 2.0**attempt))
        return left


def _requests(
    records: Sequence[EmitAnalytics], pseudonyms: Pseudonyms
) -> "Iterator[list[PutRecordsRequestEntryTypeDef]]":
    entries: list[PutRecordsRequestEntryTypeDef] = []
    size = 0
    for record in records:
        data = _encode(_document(record, pseudonyms))
        weight = len(data) + len(record.event_id)
        if entries and (len(entries) == MAX_RECORDS or size + weight > MAX_REQUEST_BYTES):
            yield entries
            entries, size = [], 0
        entries.append({"Data": data, "PartitionKey": record.event_id})
        size += weight
    if entries:
        yield entries


def _document(record: EmitAnalytics, pseudonyms: Pseudonyms) -> dict[str, object]:
    attributes = dict(record.attributes)
    if USER in attributes:
        attributes[USER] = pseudonyms.of(str(attributes[USER] or ""))
    return {
        "event_id": record.event_id,
        "type": record.type,
        "occurred_at": rfc3339(record.occurred_at),
        "attributes": attributes,
    }
