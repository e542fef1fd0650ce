"""Writes records into SageMaker Feature Store's online store, 25 in a request, and deletes them.

A record that is older than the one there changes nothing, without an error. What a reply leaves
out, or reports as an error that passes, is sent again with jitter, a few times: a record that is
written twice is the same record. Needs sagemaker:BatchWriteRecord
and sagemaker:DeleteRecord.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from adapters.aws_clients import AwsClients
from adapters.aws_errors import PERMANENT_CODES, translated
from adapters.feature_rows import FeatureRow
from adapters.sagemaker_features import LASTING_CODES
from adapters.token_bucket import TokenBucket
from config.features import FeatureGroup
from domain.errors import MangaAssistError, Permanent, Transient
from domain.features import iso_8601

if TYPE_CHECKING:
    from mypy_boto3_sagemaker_featurestore_runtime.type_defs import (
        BatchWriteRecordEntryOutputTypeDef,
        BatchWriteRecordResponseTypeDef,
        FeatureValueTypeDef,
    )

BATCH_WRITES = 25
THREADS = 4
TRIES = 6
PAUSE_SECONDS = 0.1

Key = tuple[str, str]
"""Group and user: at most one record of a request has them, or which one stands is not said."""

Batch = dict[Key, tuple[int, FeatureRow]]


class SageMakerLoading:
    """Writes rows at a rate."""

    def __init__(
        self,
        aws: AwsClients,
        groups: Mapping[str, FeatureGroup],
        turns: TokenBucket,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._aws = aws
        self._groups = groups
        self._turns = turns
        self._sleep = sleep
        self._threads = ThreadPoolExecutor(THREADS, "loading")

    def write(self, rows: Sequence[FeatureRow]) -> Mapping[int, MangaAssistError]:
        """Write rows; those that were not taken, by their place, each with the reason."""
        failed: dict[int, MangaAssistError] = {}
        for each in self._threads.map(self._write, _batches(rows)):
            failed |= each
        return failed

    def delete(self, user_id: str, group: str, deleted_at: float, *, for_good: bool) -> None:
        """Delete a record, to the millisecond at this time; one that is newer stays.

        `for_good` leaves no trace, so that an older record may be written again; raises Permanent
        where the record is newer.
        """
        self._turns.take()
        with translated("feature-store"):
            self._aws.feature_store.delete_record(
                FeatureGroupName=group,
                RecordIdentifierValueAsString=user_id,
                EventTime=iso_8601(deleted_at),
                DeletionMode="HardDelete" if for_good else "SoftDelete",
            )

    def _write(self, batch: Batch) -> dict[int, MangaAssistError]:
        failed: dict[Key, MangaAssistError] = {}
        left: dict[Key, MangaAssistError] = dict.fromkeys(batch, Transient("not asked"))
        for attempt in range(TRIES):
            if attempt:
                self._sleep(random.uniform(0, PAUSE_SECONDS * 2.0**attempt))
            try:
                reply = self._request([batch[key][1] for key in left])
            except MangaAssistError as error:
                left = dict.fromkeys(left, error)
                break  # the SDK has tried it several times
            left = {}
            for key, why in self._unwritten(reply):
                (failed if isinstance(why, Permanent) else left)[key] = why
            if not left:
                break
        return {batch[key][0]: why for key, why in (failed | left).items()}

    def _request(self, rows: Sequence[FeatureRow]) -> "BatchWriteRecordResponseTypeDef":
        self._turns.take()
        with translated("feature-store"):
            return self._aws.feature_store.batch_write_record(
                Entries=[
                    {"FeatureGroupName": row.group, "Record": list(self._record(row))}
                    for row in rows
                ]
            )

    def _record(self, row: FeatureRow) -> "Iterator[FeatureValueTypeDef]":
        group = self._groups[row.group]
        is_text = group.event_time_type == "String"
        event_time = iso_8601(row.event_time) if is_text else f"{row.event_time:.3f}"
        yield {"FeatureName": group.record_id, "ValueAsString": row.user_id}
        yield {"FeatureName": group.event_time, "ValueAsString": event_time}
        for name, value in row.features.items():
            if isinstance(value, str):
                yield {"FeatureName": name, "ValueAsString": value}
            else:
                yield {"FeatureName": name, "ValueAsStringList": value}

    def _unwritten(
        self, reply: "BatchWriteRecordResponseTypeDef"
    ) -> Iterator[tuple[Key, MangaAssistError]]:
        for entry in reply["UnprocessedEntries"]:
            yield self._key(entry), Transient("feature-store leaves records unprocessed")
        for failure in reply["Errors"]:
            code = failure["ErrorCode"]
            is_final = code in PERMANENT_CODES or code in LASTING_CODES
            error = Permanent if is_final else Transient
            yield self._key(failure["Entry"]), error(f"feature-store answers {code}")

    def _key(self, entry: "BatchWriteRecordEntryOutputTypeDef") -> Key:
        group = self._groups[entry["FeatureGroupName"]]
        values = {one["FeatureName"]: one.get("ValueAsString", "") for one in entry["Record"]}
        return entry["FeatureGroupName"], values[group.record_id]


def _batches(rows: Sequence[FeatureRow]) -> Iterator[Batch]:
    batch: Batch = {}
    for at, row in enumerate(rows):
        key = (row.group, row.user_id)
        if key in batch or len(batch) == BATCH_WRITES:
            yield batch
            batch = {}
        batch[key] = (at, row)
    if batch:
        yield batch
