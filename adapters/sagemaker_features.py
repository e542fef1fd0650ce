"""SageMaker Feature Store's online store, read in batches.

A request names at most 100 records, and takes its turn in the process's share of the account's
quota (500 BatchGetRecord a second, `config/features.toml`). What a reply leaves out as unprocessed,
or reports as an error that passes, is asked for again with jitter, a few times. A record that was
deleted, or is past its time to live, is never answered: a deletion has to be told by an event, or
is noticed by the check. Text of a list is its JSON.
Needs sagemaker:BatchGetRecord, and sagemaker:ListRecords on groups that can list.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from adapters.aws_clients import AwsClients
from adapters.aws_errors import PERMANENT_CODES, translated
from adapters.token_bucket import TokenBucket
from config.features import FeatureGroup
from domain.errors import Malformed, MangaAssistError, Permanent, Transient
from domain.features import GroupRecord, event_time_of
from domain.ports import FeatureBatch, IdPage, TaskMetrics

if TYPE_CHECKING:
    from mypy_boto3_sagemaker_featurestore_runtime.type_defs import (
        BatchGetRecordIdentifierTypeDef,
        BatchGetRecordResponseTypeDef,
        BatchGetRecordResultDetailTypeDef,
        FeatureValueOutputTypeDef,
    )

BATCH_RECORDS = 100
LISTED_IDS = 100
THREADS = 4
TRIES = 5
PAUSE_SECONDS = 0.1
LASTING_CODES = frozenset({"AccessForbidden", "AccessDeniedException", "ResourceNotFound"})
"""What asking again at once does not mend; a person does, so that it is still worth a later try."""

Wanted = tuple[str, str]
"""A group and a user."""


@dataclass(slots=True)
class _Answers:
    """What has come so far of one chunk; `left` is still to be asked for, with the reason."""

    records: dict[Wanted, GroupRecord] = field(default_factory=dict)
    unusable: set[Wanted] = field(default_factory=set)
    failed: dict[Wanted, str] = field(default_factory=dict)
    left: dict[Wanted, str] = field(default_factory=dict)


class SageMakerFeatures:
    """Implements `domain.ports.FeatureSource`."""

    def __init__(
        self,
        aws: AwsClients,
        groups: Mapping[str, FeatureGroup],
        turns: TokenBucket,
        metrics: TaskMetrics,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._aws = aws
        self._groups = groups
        self._turns = turns
        self._metrics = metrics
        self._sleep = sleep
        self._threads = ThreadPoolExecutor(THREADS, "features")

    def read(self, user_ids: Sequence[str], groups: Sequence[str]) -> FeatureBatch:
        """The records of these users, of any number, within the store's quotas."""
        users = list(dict.fromkeys(user_ids))
        some = max(1, BATCH_RECORDS // max(1, len(groups)))
        chunks = [
            [(group, user_id) for group in groups for user_id in users[at : at + some]]
            for at in range(0, len(users), some)
        ]
        answers = list(self._threads.map(self._chunk, chunks))
        batch = _batch(answers)
        is_answered = batch.records or batch.unusable or len(batch.unread) < len(users)
        if users and not is_answered:
            raise Transient(next(iter(batch.unread.values())), dependency="feature-store")
        return batch

    def page(self, group: str, after: str | None) -> IdPage:
        """Some of those who have a record in the group; Permanent where the store can't list it."""
        if not self._groups[group].is_listed:
            raise Permanent(f"the records of {group} cannot be listed")
        self._count("ListRecords")
        with translated("feature-store"):
            client = self._aws.feature_store
            if after is None:
                answer = client.list_records(FeatureGroupName=group, MaxResults=LISTED_IDS)
            else:
                answer = client.list_records(
                    FeatureGroupName=group, MaxResults=LISTED_IDS, NextToken=after
                )
        return IdPage(answer["RecordIdentifiers"], answer.get("NextToken"))

    def _chunk(self, wanted: Sequence[Wanted]) -> _Answers:
        answers = _Answers(left=dict.fromkeys(wanted, "not asked"))
        for attempt in range(TRIES):
            if attempt:
                self._sleep(random.uniform(0, PAUSE_SECONDS * 2.0**attempt))
            try:
                reply = self._request(list(answers.left))
            except MangaAssistError as error:
                answers.left = dict.fromkeys(answers.left, str(error))
                break  # the SDK has tried it several times
            self._sort(reply, answers)
            if not answers.left:
                break
        answers.failed |= answers.left
        return answers

    def _request(self, wanted: Sequence[Wanted]) -> "BatchGetRecordResponseTypeDef":
        by_group: dict[str, list[str]] = {}
        for group, user_id in wanted:
            by_group.setdefault(group, []).append(user_id)
        identifiers: list[BatchGetRecordIdentifierTypeDef] = [
            {"FeatureGroupName": group, "RecordIdentifiersValueAsString": user_ids}
            for group, user_ids in by_group.items()
        ]
        self._turns.take()
        self._count("BatchGetRecord")
        with translated("feature-store"):
            return self._aws.feature_store.batch_get_record(
                Identifiers=identifiers, ExpirationTimeResponse="Enabled"
            )

    def _sort(self, reply: "BatchGetRecordResponseTypeDef", answers: _Answers) -> None:
        answers.left = dict(_unprocessed(reply))
        for found in reply["Records"]:
            wanted = (found["FeatureGroupName"], found["RecordIdentifierValueAsString"])
            try:
                answers.records[wanted] = self._record(found)
            except Malformed:
                answers.unusable.add(wanted)
        for error in reply["Errors"]:
            wanted = (error["FeatureGroupName"], error["RecordIdentifierValueAsString"])
            code = error["ErrorCode"]
            lasts = code in LASTING_CODES or code in PERMANENT_CODES
            (answers.failed if lasts else answers.left)[wanted] = f"feature-store answers {code}"

    def _record(self, found: "BatchGetRecordResultDetailTypeDef") -> GroupRecord:
        group = self._groups[found["FeatureGroupName"]]
        values = {one["FeatureName"]: _text(one) for one in found["Record"]}
        values.pop(group.record_id, None)
        event_time = event_time_of(values.pop(group.event_time, ""))
        expires_at = found.get("ExpiresAt")
        return GroupRecord(event_time, values, event_time_of(expires_at) if expires_at else None)

    def _count(self, action: str) -> None:
        self._metrics.count("feature_store_requests_total", action=action)


def _unprocessed(reply: "BatchGetRecordResponseTypeDef") -> Iterator[tuple[Wanted, str]]:
    for entry in reply["UnprocessedIdentifiers"]:
        for user_id in entry["RecordIdentifiersValueAsString"]:
            yield (entry["FeatureGroupName"], user_id), "feature-store leaves records unprocessed"


def _text(feature: "FeatureValueOutputTypeDef") -> str:
    listed = feature.get("ValueAsStringList")
    return msgspec.json.encode(listed).decode() if listed else feature.get("ValueAsString", "")


def _batch(answers: Sequence[_Answers]) -> FeatureBatch:
    records: dict[str, dict[str, GroupRecord]] = {}
    unusable: dict[str, set[str]] = {}
    for each in answers:
        for (group, user_id), record in each.records.items():
            records.setdefault(user_id, {})[group] = record
        for group, user_id in each.unusable:
            unusable.setdefault(user_id, set()).add(group)
    unread = {user_id: why for each in answers for (_, user_id), why in each.failed.items()}
    return FeatureBatch(records, unread, unusable)
