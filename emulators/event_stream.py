"""AWS event streams: frames of headers and payload with checksums, and their pace.

Knows no service. A frame is what botocore decodes; lengths and checksums are big-endian.
"""

from __future__ import annotations

import asyncio
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emulators.wire import StreamCut

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from emulators.wire import Streaming

CONTENT_TYPE = "application/vnd.amazon.eventstream"
STRING = 7
PRELUDE_BYTES, CHECKSUM_BYTES = 8, 4


@dataclass(frozen=True, slots=True)
class Piece:
    """One frame of a stream; only those that carry a token take their time."""

    frame: bytes
    is_token: bool = False


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message of a stream."""
    head = b"".join(_header(name, value) for name, value in headers.items())
    total = PRELUDE_BYTES + CHECKSUM_BYTES + len(head) + len(payload) + CHECKSUM_BYTES
    prelude = struct.pack(">II", total, len(head))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + payload
    return message + struct.pack(">I", zlib.crc32(message))


def event(kind: str, payload: bytes, content_type: str = "application/json") -> bytes:
    """An event of a stream."""
    return frame(
        {":event-type": kind, ":content-type": content_type, ":message-type": "event"}, payload
    )


def exception(kind: str, payload: bytes) -> bytes:
    """The error that ends a stream."""
    headers = {":exception-type": kind, ":content-type": "application/json"}
    return frame({**headers, ":message-type": "exception"}, payload)


async def paced(
    pieces: Iterable[Piece], streaming: Streaming, broken: bytes
) -> AsyncIterator[bytes]:
    """The frames at their pace; `broken` is the last one of a stream that ends in an error."""
    tokens = 0
    for piece in pieces:
        if piece.is_token:
            if tokens == streaming.breaks_after:
                break
            await asyncio.sleep(streaming.token_seconds if tokens else streaming.first_seconds)
            tokens += 1
        yield piece.frame
    else:
        return
    if streaming.is_cut:
        raise StreamCut
    yield broken


def _header(name: str, value: str) -> bytes:
    raw, text = name.encode(), value.encode()
    return struct.pack(">B", len(raw)) + raw + struct.pack(">BH", STRING, len(text)) + text
