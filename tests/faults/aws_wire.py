"""Requests and replies of the AWS JSON protocols as bytes, and how a service does half of one.

Pure but for the reading. What a partial request leaves out does not reach the service, so that the
reply says what is so.
"""

import asyncio
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec

HEAD_END = b"\r\n\r\n"
CONSISTENT = re.compile(rb'"ConsistentRead":\s*true')
READS = frozenset({"GetItem", "BatchGetItem", "Query", "Scan"})
FAILED = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow down"}

Mend = Callable[["Message"], "Message"]


@dataclass(frozen=True, slots=True)
class Message:
    """One HTTP message: the lines of its head, and its body."""

    lines: tuple[bytes, ...]
    body: bytes

    @property
    def action(self) -> str:
        """The AWS action, empty where it names none."""
        return self.header(b"x-amz-target").rpartition(b".")[2].decode()

    def header(self, name: bytes) -> bytes:
        """The value of a header, by its name in lower case."""
        for line in self.lines[1:]:
            found, _, value = line.partition(b":")
            if found.lower() == name:
                return value.strip()
        return b""

    def with_document(self, document: object) -> "Message":
        """The same with another body, and without the checksum of the old one."""
        body = msgspec.json.encode(document)
        dropped = (b"content-length:", b"x-amz-crc32:")
        kept = tuple(line for line in self.lines if not line.lower().startswith(dropped))
        return replace(self, lines=(*kept, b"content-length: %d" % len(body)), body=body)

    def encoded(self) -> bytes:
        """The bytes of it."""
        return b"\r\n".join(self.lines) + HEAD_END + self.body


async def read(reader: asyncio.StreamReader) -> Message:
    """The next message; raises IncompleteReadError at the end of the stream."""
    head = await reader.readuntil(HEAD_END)
    message = Message(tuple(head.removesuffix(HEAD_END).split(b"\r\n")), b"")
    assert not message.header(b"transfer-encoding"), "only messages with a length are expected"
    length = int(message.header(b"content-length") or b"0")
    return replace(message, body=await reader.readexactly(length))


def error(status: int, code: str) -> Message:
    """A reply that says what is wrong, as these services do."""
    lines = (b"HTTP/1.1 %d Error" % status, b"content-type: application/x-amz-json-1.1")
    return Message(lines, b"").with_document({"__type": code, "message": "injected"})


def may_be_stale(request: Message) -> bool:
    """Whether it is a read of DynamoDB that does not ask to see every write before it."""
    return request.action in READS and not CONSISTENT.search(request.body)


def cut(request: Message, fraction: float) -> tuple[Message, Mend | None]:
    """The request without a part of its entries, and what the reply must say about that part."""
    cutter = _CUTTERS.get(request.action)
    if cutter is None:
        return request, None
    return cutter(request, msgspec.json.decode(request.body), fraction)


def _cut_records(
    request: Message, document: dict[str, Any], fraction: float
) -> tuple[Message, Mend | None]:
    records = document["Records"]
    count = _part(len(records), fraction)
    if not count:
        return request, None
    kept = {**document, "Records": records[count:]}

    def mended(reply: Message) -> Message:
        answer = msgspec.json.decode(reply.body)
        rows = [FAILED] * count + answer["Records"]
        return reply.with_document({**answer, "FailedRecordCount": count, "Records": rows})

    return request.with_document(kept), mended


def _cut_log_events(
    request: Message, document: dict[str, Any], fraction: float
) -> tuple[Message, Mend | None]:
    events = document["logEvents"]
    count = _part(len(events), fraction)
    if not count:
        return request, None

    def mended(reply: Message) -> Message:
        answer = msgspec.json.decode(reply.body)
        info = {"tooOldLogEventEndIndex": count}
        return reply.with_document({**answer, "rejectedLogEventsInfo": info})

    return request.with_document({**document, "logEvents": events[count:]}), mended


def _cut_writes(
    request: Message, document: dict[str, Any], fraction: float
) -> tuple[Message, Mend | None]:
    ((table, writes),) = document["RequestItems"].items()
    count = _part(len(writes), fraction)
    if not count:
        return request, None

    def mended(reply: Message) -> Message:
        answer = msgspec.json.decode(reply.body)
        return reply.with_document({**answer, "UnprocessedItems": {table: writes[:count]}})

    return request.with_document({**document, "RequestItems": {table: writes[count:]}}), mended


def _part(entries: int, fraction: float) -> int:
    """How many are left out: never all, since a service that takes nothing says so otherwise."""
    return min(entries - 1, math.ceil(entries * fraction))


_CUTTERS = {
    "PutRecords": _cut_records,
    "PutLogEvents": _cut_log_events,
    "BatchWriteItem": _cut_writes,
}
