"""A chat model on Amazon Bedrock, by ConverseStream.

Needs bedrock:InvokeModelWithResponseStream on the model or inference profile. A model that is
throttled or not ready is not asked again here: what is left of the deadline is the caller's.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import TypeVar
from urllib.parse import quote

import msgspec

from adapters.aws_event_stream import events
from adapters.aws_http import AwsHttp
from domain.errors import Transient
from domain.model import WARMING, Ended, Prompt, Stop

SERVICE = "bedrock-runtime"
OPERATION = "ConverseStream"
STOPS = {
    "end_turn": Stop.DONE,
    "stop_sequence": Stop.DONE,
    "max_tokens": Stop.LENGTH,
    "model_context_window_exceeded": Stop.LENGTH,
}
"""All other reasons mean that what was said must not be used."""


class _Text(msgspec.Struct):
    text: str = ""


class _Delta(msgspec.Struct):
    delta: _Text


class _MessageStop(msgspec.Struct, rename="camel"):
    stop_reason: str


class _Usage(msgspec.Struct, rename="camel"):
    input_tokens: int
    output_tokens: int


class _Metadata(msgspec.Struct):
    usage: _Usage


Event = TypeVar("Event", _Delta, _MessageStop, _Metadata)


class BedrockModel:
    """Implements `domain.model.ChatModel`."""

    def __init__(self, http: AwsHttp, model_id: str, max_tokens: int, temperature: float) -> None:
        self._http = http
        self._path = f"/model/{quote(model_id, safe='')}/converse-stream"
        self._max_tokens = max_tokens
        self._temperature = temperature

    def stream(self, prompt: Prompt, seconds: float) -> AsyncGenerator[str | Ended, None]:
        """The answer piece by piece, then `Ended`; all of it within so many seconds."""
        return self._stream(prompt, self._max_tokens, seconds)

    async def warm(self, seconds: float) -> None:
        """Open a connection and have the model say one token; raises as `stream` does."""
        async for _ in self._stream(WARMING, 1, seconds):
            pass

    async def _stream(
        self, prompt: Prompt, max_tokens: int, seconds: float
    ) -> AsyncGenerator[str | Ended, None]:
        deadline = asyncio.get_running_loop().time() + seconds
        body = self._body(prompt, max_tokens)
        stop: Stop | None = None
        usage = _Usage(0, 0)
        async with self._http.post(OPERATION, self._path, body, deadline=deadline) as response:
            async for kind, payload in events(response, SERVICE, OPERATION, deadline):
                match kind:
                    case "contentBlockDelta":
                        if piece := _read(payload, _Delta).delta.text:
                            yield piece
                    case "messageStop":
                        stop = STOPS.get(_read(payload, _MessageStop).stop_reason, Stop.WITHHELD)
                    case "metadata":
                        usage = _read(payload, _Metadata).usage
        if stop is None:
            raise Transient(f"{SERVICE} broke off its answer", dependency=SERVICE)
        yield Ended(stop, usage.input_tokens, usage.output_tokens)

    def _body(self, prompt: Prompt, max_tokens: int) -> bytes:
        document: dict[str, object] = {
            "messages": [
                {"role": message.role, "content": [{"text": message.text}]}
                for message in prompt.messages
            ],
            "inferenceConfig": {"maxTokens": max_tokens, "temperature": self._temperature},
        }
        if prompt.system:
            document["system"] = [{"text": prompt.system}]
        return msgspec.json.encode(document)


def _read(payload: bytes, kind: type[Event]) -> Event:
    try:
        return msgspec.json.decode(payload, type=kind)
    except msgspec.DecodeError as error:
        raise Transient(f"{SERVICE} sends what it should not", dependency=SERVICE) from error
