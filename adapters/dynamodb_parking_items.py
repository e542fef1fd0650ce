"""What a parked job is as items of DynamoDB: one that holds it, and a line of a list by time.

Keys `pk` and `sk`. The job is ("job#<id>", "job"), its payload compressed, with a `revision` that
every change raises; its line is ("list#<first digit of the id>", "<parked_at>#<id>"). Both carry
`expires_at`, the table's TTL.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import zstandard

from adapters.dynamodb_values import number
from domain.errors import Permanent
from domain.parking import Parked, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb.type_defs import (
        AttributeValueTypeDef,
        UniversalAttributeValueTypeDef,
    )

    Item = Mapping[str, AttributeValueTypeDef]
    NewItem = dict[str, UniversalAttributeValueTypeDef]

LISTS = "0123456789abcdef"
MAX_PAYLOAD_BYTES = 1024 * 1024
MAX_STORED_BYTES = 380 * 1024
"""An item holds at most 400 KB."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The item of a job."""

    parked: Parked
    expires_at: float
    revision: int


def key_of(parked_id: str) -> "NewItem":
    """The key of a job's item."""
    return {"pk": {"S": f"job#{parked_id}"}, "sk": {"S": "job"}}


def list_key(name: str) -> "AttributeValueTypeDef":
    """The key that the lines of one list share."""
    return {"S": f"list#{name}"}


def line_key_of(parked: Parked) -> "NewItem":
    """The key of a job's line."""
    return {"pk": list_key(parked.id[0]), "sk": {"S": line_of(parked)}}


def line_of(parked: Parked) -> str:
    """A job's line: lines sort by when their jobs were parked."""
    return f"{int(parked.parked_at * 1000):015d}#{parked.id}"


def id_of(line: str) -> str:
    """The job that a line leads to."""
    return line.partition("#")[2]


def attributes(parked: Parked) -> "NewItem":
    """What is written of a job beside its key; raises Permanent where it is too large."""
    payload = zstandard.ZstdCompressor().compress(parked.payload)
    if len(payload) > MAX_STORED_BYTES or len(parked.payload) > MAX_PAYLOAD_BYTES:
        raise Permanent(f"{len(parked.payload)} bytes are too many for an item")
    return {
        "queue": {"S": parked.queue},
        "kind": {"S": parked.kind},
        "event_id": {"S": parked.event_id},
        "reason": {"S": parked.reason.value},
        "detail": {"S": parked.detail},
        "payload": {"B": payload},
        "first_sent_at": number(parked.first_sent_at),
        "parked_at": number(parked.parked_at),
        "receives": number(parked.receives),
        "replays": number(parked.replays),
        "history": history_of(parked),
    }


def history_of(parked: Parked) -> "AttributeValueTypeDef":
    """What became of a job so far."""
    return {"L": [{"S": line} for line in parked.history]}


def stored_in(item: "Item") -> Stored:
    """The job of an item."""
    parked = Parked(
        id=item["pk"]["S"].removeprefix("job#"),
        queue=item["queue"]["S"],
        kind=item["kind"]["S"],
        event_id=item["event_id"]["S"],
        reason=Reason(item["reason"]["S"]),
        detail=item["detail"]["S"],
        payload=zstandard.ZstdDecompressor().decompress(
            item["payload"]["B"], max_output_size=MAX_PAYLOAD_BYTES
        ),
        first_sent_at=float(item["first_sent_at"]["N"]),
        parked_at=float(item["parked_at"]["N"]),
        receives=int(item["receives"]["N"]),
        replays=int(item["replays"]["N"]),
        history=tuple(line["S"] for line in item["history"]["L"]),
    )
    return Stored(parked, float(item["expires_at"]["N"]), int(item["revision"]["N"]))
