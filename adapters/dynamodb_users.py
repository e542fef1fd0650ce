"""The merged features of each user in DynamoDB: one item, an attribute for each feature group.

Key `user_id`; `group:<name>` is a map of `event_time` (a number), `values` (JSON), and where they
apply `expires_at` and `deleted`; `expires_at` of the item is the table's TTL, the latest of its
groups, also honoured on read, since DynamoDB deletes late; `revision` counts the writes.
A write reads the items (BatchGetItem, 100 users) and sends one UpdateItem for each that changes,
under the condition that its revision is the one that was read: which record stands is decided by
`domain/features.py` alone. A writer who loses the race is told the item, and decides again. What is
stored only ever moves on, so that a repeated or late write, and one whose reply was lost, changes
nothing. Items stay below 400 KB or are refused as Permanent.
Needs BatchGetItem, GetItem, UpdateItem and Scan of its table.
"""

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import msgspec
from botocore.exceptions import ClientError

from adapters.aws_clients import AwsClients
from adapters.aws_errors import REFUSED_CODES, code_of, translated
from adapters.dynamodb_values import number
from domain.errors import Malformed, MangaAssistError, Transient
from domain.features import GroupRecord, UserFeatures
from domain.merging import outcomes
from domain.ports import Clock, IdPage, MergeBatch, Merged, Written

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, ScanInputTypeDef

    Attributes = Mapping[str, AttributeValueTypeDef]

GROUP = "group:"
BATCH_KEYS = 100
"""What BatchGetItem takes."""
THREADS = 16
CONTENDED_TRIES = 8
UNPROCESSED_TRIES = 6
PAUSE_SECONDS = 0.05

_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder(dict[str, str]).decode


@dataclass(frozen=True, slots=True)
class _Item:
    """A user's item; revision 0 where there is none."""

    features: UserFeatures
    revision: int = 0


class DynamoDBUsers:
    """Implements `domain.ports.UserCache`."""

    def __init__(
        self,
        aws: AwsClients,
        table: str,
        clock: Clock,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._aws = aws
        self._table = table
        self._clock = clock
        self._sleep = sleep
        self._threads = ThreadPoolExecutor(THREADS, "users")

    def merge(self, user_id: str, groups: Mapping[str, GroupRecord]) -> Mapping[str, Written]:
        """Write each group's record, unless a newer one is there; what became of each."""
        item = self._items([user_id]).get(user_id, _Item(UserFeatures(user_id)))
        return self._merge(item, groups).written

    def merge_all(self, records: Mapping[str, Mapping[str, GroupRecord]]) -> MergeBatch:
        """`merge` for many users at once, by user; one that fails does not cost the others."""
        items = self._items(list(records))
        merged, failed = dict[str, Merged](), dict[str, MangaAssistError]()
        writes: dict[str, Future[Merged]] = {}
        for user_id, groups in records.items():
            item = items.get(user_id, _Item(UserFeatures(user_id)))
            if item.features.newer(groups):
                writes[user_id] = self._threads.submit(self._merge, item, groups)
            else:
                merged[user_id] = Merged(item.features, outcomes(item.features, groups))
        for user_id, write in writes.items():
            try:
                merged[user_id] = write.result()
            except MangaAssistError as error:
                failed[user_id] = error
        return MergeBatch(merged, failed)

    def get(self, user_id: str) -> UserFeatures | None:
        """Everything that is known of a user; None where that is nothing."""
        with translated("dynamodb"):
            answer = self._aws.dynamodb.get_item(TableName=self._table, Key=_key(user_id))
        item = answer.get("Item")
        return self._unless_expired(_read(item)) if item else None

    def get_all(self, user_ids: Sequence[str]) -> Mapping[str, UserFeatures]:
        """`get` for many users, those of whom nothing is known being left out."""
        found = {
            user_id: self._unless_expired(item) for user_id, item in self._items(user_ids).items()
        }
        return {user_id: features for user_id, features in found.items() if features is not None}

    def page(self, after: str | None, limit: int) -> IdPage:
        """Some users who have features, in an order of the cache's own."""
        request: ScanInputTypeDef = {
            "TableName": self._table,
            "Limit": limit,
            "ProjectionExpression": "user_id",
        }
        if after is not None:
            request["ExclusiveStartKey"] = _key(after)
        with translated("dynamodb"):
            answer = self._aws.dynamodb.scan(**request)
        last = answer.get("LastEvaluatedKey")
        return IdPage(
            [item["user_id"]["S"] for item in answer["Items"]],
            last["user_id"]["S"] if last else None,
        )

    def _merge(self, item: _Item, groups: Mapping[str, GroupRecord]) -> Merged:
        with translated("dynamodb"):
            for attempt in range(CONTENDED_TRIES):
                newer = item.features.newer(groups)
                if not newer:
                    return Merged(item.features, outcomes(item.features, groups))
                after = item.features.merged(newer)
                refused = self._update(item, after, newer)
                if refused is None:
                    return Merged(after, outcomes(item.features, groups))
                item = refused
                self._pause(attempt)
        raise Transient("the features of a user are being written too often at once")

    def _update(
        self, item: _Item, after: UserFeatures, newer: Mapping[str, GroupRecord]
    ) -> _Item | None:
        """Write these records; the item as it is where somebody else was quicker."""
        sets = ["revision = :next"]
        values: dict[str, AttributeValueTypeDef] = {":next": number(item.revision + 1)}
        names: dict[str, str] = {}
        for at, (name, record) in enumerate(newer.items()):
            sets.append(f"#g{at} = :g{at}")
            names[f"#g{at}"] = GROUP + name
            values[f":g{at}"] = _attributes(record)
        removal = ""
        if after.expires_at is None:
            removal = " REMOVE expires_at"
        else:
            sets.append("expires_at = :expires")
            values[":expires"] = number(after.expires_at)
        if item.revision:
            values[":read"] = number(item.revision)
        try:
            self._aws.dynamodb.update_item(
                TableName=self._table,
                Key=_key(item.features.user_id),
                UpdateExpression=f"SET {', '.join(sets)}{removal}",
                ConditionExpression=(
                    "revision = :read" if item.revision else "attribute_not_exists(revision)"
                ),
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if code_of(error) not in REFUSED_CODES:
                raise
            found = cast("Attributes | None", error.response.get("Item"))
            return _read(found) if found else _Item(UserFeatures(item.features.user_id))
        return None

    def _items(self, user_ids: Iterable[str]) -> dict[str, _Item]:
        """The items of these users as they are now, by user."""
        keys = list(dict.fromkeys(user_ids))
        chunks = [keys[at : at + BATCH_KEYS] for at in range(0, len(keys), BATCH_KEYS)]
        found = (
            [self._chunk(chunks[0])] if len(chunks) == 1 else self._threads.map(self._chunk, chunks)
        )
        return {item.features.user_id: item for items in found for item in items}

    def _chunk(self, user_ids: Sequence[str]) -> list[_Item]:
        left, found = list(user_ids), list[_Item]()
        with translated("dynamodb"):
            for attempt in range(UNPROCESSED_TRIES):
                answer = self._aws.dynamodb.batch_get_item(
                    RequestItems={
                        self._table: {
                            "Keys": [_key(user_id) for user_id in left],
                            "ConsistentRead": True,
                        }
                    }
                )
                found += map(_read, answer["Responses"].get(self._table, []))
                unprocessed = answer["UnprocessedKeys"].get(self._table)
                if not unprocessed:
                    return found
                left = [str(key["user_id"]["S"]) for key in unprocessed["Keys"]]
                self._pause(attempt)
        raise Transient("DynamoDB leaves keys unprocessed", dependency="dynamodb")

    def _unless_expired(self, item: _Item) -> UserFeatures | None:
        expires_at = item.features.expires_at
        is_over = expires_at is not None and expires_at <= self._clock()
        return None if is_over else item.features

    def _pause(self, attempt: int) -> None:
        self._sleep(random.uniform(0, PAUSE_SECONDS * 2.0**attempt))


def _read(item: "Attributes") -> _Item:
    groups = {
        name.removeprefix(GROUP): _record(value["M"])
        for name, value in item.items()
        if name.startswith(GROUP)
    }
    return _Item(UserFeatures(item["user_id"]["S"], groups), int(item["revision"]["N"]))


def _record(stored: "Attributes") -> GroupRecord:
    try:
        values = _decode(stored["values"]["S"])
    except (msgspec.DecodeError, ValueError) as error:
        raise Malformed("the stored features of a user cannot be read") from error
    return GroupRecord(
        event_time=float(stored["event_time"]["N"]),
        values=values,
        expires_at=float(stored["expires_at"]["N"]) if "expires_at" in stored else None,
        is_deleted="deleted" in stored,
    )


def _attributes(record: GroupRecord) -> "AttributeValueTypeDef":
    stored: dict[str, AttributeValueTypeDef] = {
        "event_time": number(record.event_time),
        "values": {"S": _encode(dict(record.values)).decode()},
    }
    if record.expires_at is not None:
        stored["expires_at"] = number(record.expires_at)
    if record.is_deleted:
        stored["deleted"] = {"BOOL": True}
    return {"M": stored}


def _key(user_id: str) -> "dict[str, AttributeValueTypeDef]":
    return {"user_id": {"S": user_id}}
