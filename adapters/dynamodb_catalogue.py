"""The catalogue in DynamoDB: a snapshot cut into chunks, and a pointer that is switched last.

Keys `pk` and `sk`, both strings. The pointer is ("catalogue", "current") with `version` (SHA-256 of
the snapshot), `chunks` and `previous`; a chunk is ("snapshot#<version>", "<number>") with `data`.
The snapshot before the current one stays, for whoever is still reading it. Needs GetItem, PutItem,
Query and BatchWriteItem.
"""

import hashlib
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from adapters.aws_clients import AwsClients
from adapters.aws_errors import translated
from adapters.jsonl_catalogue import dump_snapshot, load_snapshot
from domain.catalogue import Catalogue
from domain.errors import Refused, Transient

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import (
        AttributeValueTypeDef,
        WriteRequestOutputTypeDef,
        WriteRequestTypeDef,
    )

    Key = dict[str, AttributeValueTypeDef]

CHUNK_BYTES = 256 * 1024
"""An item holds at most 400 KB."""
MAX_BATCH_ITEMS = 25
WRITE_TRIES = 8
BACKOFF_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class _Pointer:
    version: str
    chunks: int
    previous: str
    previous_chunks: int


class DynamoDBCatalogue:
    """Implements `domain.ports.CatalogueStore`."""

    def __init__(self, aws: AwsClients, table: str) -> None:
        self._aws = aws
        self._table = table
        self._loaded: tuple[str, Catalogue] | None = None

    def version(self) -> str | None:
        """The content hash of the current snapshot; None before the first import."""
        pointer = self._pointer()
        return pointer.version if pointer else None

    def load(self) -> Catalogue:
        """The current catalogue; raises Transient before the first import.

        The same object as before while the snapshot is the same.
        """
        pointer = self._pointer()
        if pointer is None:
            raise Transient("no catalogue has been imported yet")
        loaded = self._loaded
        if loaded is not None and loaded[0] == pointer.version:
            return loaded[1]
        catalogue = self._load(pointer)
        self._loaded = (pointer.version, catalogue)
        return catalogue

    def _load(self, pointer: _Pointer) -> Catalogue:
        data = b"".join(self._chunks(pointer.version))
        if hashlib.sha256(data).hexdigest() != pointer.version:
            raise Transient("the catalogue was replaced while it was being read")
        return load_snapshot(data, pointer.version)

    def publish(self, catalogue: Catalogue) -> bool:
        """Make this the catalogue; False where it is already."""
        data = dump_snapshot(catalogue)
        version = hashlib.sha256(data).hexdigest()
        current = self._pointer()
        if current is not None and current.version == version:
            return False
        chunks = [data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES)]
        self._write(
            {"PutRequest": {"Item": {**_key(version, number), "data": {"B": chunk}}}}
            for number, chunk in enumerate(chunks)
        )
        self._switch(current, version, len(chunks))
        if current is not None and current.previous not in ("", version):
            self._write(
                {"DeleteRequest": {"Key": _key(current.previous, number)}}
                for number in range(current.previous_chunks)
            )
        return True

    def _pointer(self) -> _Pointer | None:
        with translated("dynamodb"):
            answer = self._aws.dynamodb.get_item(
                TableName=self._table, Key=_POINTER, ConsistentRead=True
            )
        item = answer.get("Item")
        if not item:
            return None
        return _Pointer(
            item["version"]["S"],
            int(item["chunks"]["N"]),
            item["previous"]["S"],
            int(item["previous_chunks"]["N"]),
        )

    def _switch(self, current: _Pointer | None, version: str, chunks: int) -> None:
        item: Key = {
            **_POINTER,
            "version": {"S": version},
            "chunks": {"N": str(chunks)},
            "previous": {"S": current.version if current else ""},
            "previous_chunks": {"N": str(current.chunks if current else 0)},
        }
        try:
            with translated("dynamodb"):
                self._aws.dynamodb.put_item(
                    TableName=self._table,
                    Item=item,
                    ConditionExpression="attribute_not_exists(pk) OR #version = :current",
                    ExpressionAttributeNames={"#version": "version"},
                    ExpressionAttributeValues={
                        ":current": {"S": current.version if current else ""}
                    },
                )
        except Refused as error:
            raise Transient("another catalogue is being imported at the same time") from error

    def _chunks(self, version: str) -> Iterator[bytes]:
        with translated("dynamodb"):
            pages = self._aws.dynamodb.get_paginator("query").paginate(
                TableName=self._table,
                KeyConditionExpression="pk = :snapshot",
                ExpressionAttributeValues={":snapshot": {"S": f"snapshot#{version}"}},
                ConsistentRead=True,
            )
            for page in pages:
                for item in page["Items"]:
                    yield bytes(item["data"]["B"])

    def _write(self, requests: "Iterator[WriteRequestTypeDef]") -> None:
        while batch := list(islice(requests, MAX_BATCH_ITEMS)):
            self._write_batch(batch)

    def _write_batch(self, requests: "Sequence[WriteRequestTypeDef]") -> None:
        batch: Sequence[WriteRequestTypeDef | WriteRequestOutputTypeDef] = requests
        for attempt in range(WRITE_TRIES):
            with translated("dynamodb"):
                answer = self._aws.dynamodb.batch_write_item(RequestItems={self._table: batch})
            batch = answer.get("UnprocessedItems", {}).get(self._table, [])
            if not batch:
                return
            time.sleep(random.uniform(0, BACKOFF_SECONDS * 2.0**attempt))
        raise Transient("dynamodb leaves chunks of the catalogue unprocessed")


_POINTER: "Key" = {"pk": {"S": "catalogue"}, "sk": {"S": "current"}}


def _key(version: str, number: int) -> "Key":
    return {"pk": {"S": f"snapshot#{version}"}, "sk": {"S": f"{number:06d}"}}
