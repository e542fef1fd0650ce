"""A reply of the chat model as the events of ConverseStream and of InvokeModel's stream."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import msgspec

from emulators.event_stream import Piece, event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emulators.chat_model import Reply

_json = msgspec.json.encode


def converse(reply: Reply, latency_ms: int) -> Iterator[Piece]:
    """The events of ConverseStream."""
    yield Piece(event("messageStart", _json({"role": "assistant"})))
    for token in reply.tokens:
        delta = {"contentBlockIndex": 0, "delta": {"text": token}}
        yield Piece(event("contentBlockDelta", _json(delta)), is_token=True)
    yield Piece(event("contentBlockStop", _json({"contentBlockIndex": 0})))
    yield Piece(event("messageStop", _json({"stopReason": reply.stop_reason})))
    metadata = {"usage": usage(reply), "metrics": {"latencyMs": latency_ms}}
    yield Piece(event("metadata", _json(metadata)))


def claude(reply: Reply, model: str) -> Iterator[Piece]:
    """The events of InvokeModelWithResponseStream for a model of Anthropic's."""
    message = {"type": "message", "role": "assistant", "model": model, "content": []}
    start = {**message, "usage": {"input_tokens": reply.input_tokens, "output_tokens": 0}}
    yield _chunk({"type": "message_start", "message": start})
    block = {"type": "text", "text": ""}
    yield _chunk({"type": "content_block_start", "index": 0, "content_block": block})
    for token in reply.tokens:
        delta = {"type": "text_delta", "text": token}
        chunk = {"type": "content_block_delta", "index": 0, "delta": delta}
        yield _chunk(chunk, is_token=True)
    yield _chunk({"type": "content_block_stop", "index": 0})
    done = {"stop_reason": reply.stop_reason, "stop_sequence": None}
    counted = {"output_tokens": len(reply.tokens)}
    yield _chunk({"type": "message_delta", "delta": done, "usage": counted})
    yield _chunk({"type": "message_stop"})


def usage(reply: Reply) -> dict[str, int]:
    """What Converse says of the tokens."""
    read, written = reply.input_tokens, len(reply.tokens)
    return {"inputTokens": read, "outputTokens": written, "totalTokens": read + written}


def _chunk(value: object, *, is_token: bool = False) -> Piece:
    payload = _json({"bytes": base64.b64encode(_json(value)).decode()})
    return Piece(event("chunk", payload), is_token=is_token)
