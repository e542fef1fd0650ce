"""Parked jobs in DynamoDB: an item by id, and a line of a list by time that leads to it.

`adapters/dynamodb_parking_items.py` describes both. So `get` is one read, `each` merges sixteen
queries in order of time, `count` reads no payload, and no list takes more than a sixteenth of the
writes. The item is written first: a line without one is left over from a removal and means
nothing. The TTL is honoured on reads too. Needs GetItem, PutItem, DeleteItem, Query, BatchGetItem.
"""

import heapq
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from adapters.aws_clients import AwsClients
from adapters.aws_errors import REFUSED_CODES, code_of, translated
from adapters.dynamodb_parking_items import (
    LISTS,
    Stored,
    attributes,
    history_of,
    id_of,
    key_of,
    line_key_of,
    line_of,
    list_key,
    stored_in,
)
from adapters.dynamodb_values import number
from domain.errors import Permanent, Refused, Transient
from domain.parking import Parked, parked_again
from domain.ports import Clock, TaskMetrics

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef

    from adapters.dynamodb_parking_items import Item, NewItem

PAGE_ITEMS = 25
THREADS = 8
CONTENDED_TRIES = 5
UNPROCESSED_TRIES = 8
BACKOFF_SECONDS = 0.05
DAY_SECONDS = 86_400


class DynamoDBParking:
    """Implements `domain.ports.Parking`; counts what is parked for the first time."""

    def __init__(
        self, aws: AwsClients, table: str, days: int, clock: Clock, metrics: TaskMetrics
    ) -> None:
        self._aws = aws
        self._table = table
        self._kept_seconds = days * DAY_SECONDS
        self._clock = clock
        self._metrics = metrics

    def park(self, parked: Sequence[Parked]) -> Mapping[str, str]:
        """Set aside, each by its id; the ids of those not taken, each with the reason."""
        left: dict[str, str] = {}
        with ThreadPoolExecutor(THREADS) as threads:
            # Not all at once: where the first do not get through, the others are not tried.
            for some in _chunks(parked, THREADS):
                refusals = threads.map(self._park, some)
                left |= {
                    one.id: why for one, why in zip(some, refusals, strict=True) if why is not None
                }
        return left

    def get(self, parked_id: str) -> Parked | None:
        """One by its id."""
        found = self._stored(parked_id)
        return found.parked if found is not None else None

    def each(self) -> Iterator[Parked]:
        """Everything that is parked, oldest first; what expired is left out."""
        lines = heapq.merge(*map(self._lines, LISTS))
        for page in _pages(lines):
            found = self._read(page)
            for line in page:
                stored = found.get(id_of(line))
                # Another line of the same id is left over from before it was removed.
                if stored is not None and line_of(stored.parked) == line:
                    yield stored.parked

    def remove(self, parked: Parked) -> bool:
        """Forget one; False where it is gone, or not as it was read: it was parked once more."""
        try:
            with translated("dynamodb"):
                answer = self._aws.dynamodb.delete_item(
                    TableName=self._table,
                    Key=key_of(parked.id),
                    ConditionExpression="history = :history",
                    ExpressionAttributeValues={":history": history_of(parked)},
                    ReturnValues="ALL_OLD",
                )
                self._aws.dynamodb.delete_item(TableName=self._table, Key=line_key_of(parked))
        except Refused:
            return False
        return self._alive(answer.get("Attributes")) is not None

    def count(self) -> int:
        """How many are parked, about: it reads the lists only."""
        return sum(self._count(name) for name in LISTS)

    def _park(self, one: Parked) -> str | None:
        """Park one; the reason where it can't be."""
        try:
            with translated("dynamodb"):
                self._write(one)
        except Permanent as error:
            return str(error)
        return None

    def _write(self, one: Parked) -> None:
        before = None
        for _ in range(CONTENDED_TRIES):
            merged = parked_again(before.parked if before else one, one)
            if self._put(merged, before.revision if before else 0):
                self._put_line(merged)
                if before is None:
                    self._metrics.count("parked_total", reason=one.reason.value)
                return
            before = self._stored(one.id)
        raise Transient("a job is being parked too often at once")

    def _put(self, parked: Parked, revision: int) -> bool:
        """Write the item unless it was changed meanwhile: then False."""
        now = self._clock()
        item: NewItem = {
            **key_of(parked.id),
            **attributes(parked),
            "expires_at": number(self._expiry(now)),
            "revision": number(revision + 1),
        }
        unchanged = "revision = :revision" if revision else "attribute_not_exists(pk)"
        values: NewItem = {":now": number(now)}
        if revision:
            values[":revision"] = number(revision)
        try:
            self._aws.dynamodb.put_item(
                TableName=self._table,
                Item=item,
                ConditionExpression=f"{unchanged} OR expires_at <= :now",
                ExpressionAttributeValues=values,
            )
        except ClientError as error:
            if code_of(error) in REFUSED_CODES:
                return False
            raise
        return True

    def _put_line(self, parked: Parked) -> None:
        expiry = number(self._expiry(self._clock()))
        item: NewItem = {**line_key_of(parked), "expires_at": expiry}
        self._aws.dynamodb.put_item(TableName=self._table, Item=item)

    def _stored(self, parked_id: str) -> Stored | None:
        with translated("dynamodb"):
            answer = self._aws.dynamodb.get_item(
                TableName=self._table, Key=key_of(parked_id), ConsistentRead=True
            )
        return self._alive(answer.get("Item"))

    def _alive(self, item: "Item | None") -> Stored | None:
        found = stored_in(item) if item else None
        return found if found is not None and found.expires_at > self._clock() else None

    def _lines(self, name: str) -> Iterator[str]:
        """The sort keys of one list, oldest first."""
        request = self._query(name)
        request["ProjectionExpression"] = "sk"
        while True:
            with translated("dynamodb"):
                answer = self._aws.dynamodb.query(**request)
            for item in answer["Items"]:
                yield item["sk"]["S"]
            if not answer.get("LastEvaluatedKey"):
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _count(self, name: str) -> int:
        request = self._query(name)
        request["Select"] = "COUNT"
        total = 0
        while True:
            with translated("dynamodb"):
                answer = self._aws.dynamodb.query(**request)
            total += answer["Count"]
            if not answer.get("LastEvaluatedKey"):
                return total
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _query(self, name: str) -> "QueryInputTypeDef":
        return {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :list",
            "FilterExpression": "expires_at > :now",
            "ExpressionAttributeValues": {
                ":list": list_key(name),
                ":now": number(self._clock()),
            },
        }

    def _read(self, lines: Sequence[str]) -> Mapping[str, Stored]:
        found: dict[str, Stored] = {}
        keys = [key_of(parked_id) for parked_id in dict.fromkeys(map(id_of, lines))]
        for attempt in range(UNPROCESSED_TRIES):
            with translated("dynamodb"):
                answer = self._aws.dynamodb.batch_get_item(
                    RequestItems={self._table: {"Keys": keys, "ConsistentRead": True}}
                )
            for item in answer["Responses"].get(self._table, []):
                stored = self._alive(item)
                if stored is not None:
                    found[stored.parked.id] = stored
            left = answer["UnprocessedKeys"].get(self._table)
            if not left:
                return found
            keys = [{"pk": key["pk"], "sk": key["sk"]} for key in left["Keys"]]
            time.sleep(random.uniform(0, BACKOFF_SECONDS * 2.0**attempt))
        raise Transient("dynamodb leaves parked jobs unread", dependency="dynamodb")

    def _expiry(self, now: float) -> int:
        return int(now) + self._kept_seconds


def _chunks(parked: Sequence[Parked], size: int) -> Iterator[Sequence[Parked]]:
    for start in range(0, len(parked), size):
        yield parked[start : start + size]


def _pages(lines: Iterator[str]) -> Iterator[Sequence[str]]:
    while page := list(islice(lines, PAGE_ITEMS)):
        yield page
