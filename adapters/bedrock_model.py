"""A chat model on Amazon Bedrock, by ConverseStream.

Needs bedrock:InvokeModelWithResponseStream on the model or inference profile.
"""

from collections.abc import Iterator
from typing import TypeVar
from urllib.parse import quote

import msgspec

from adapters.aws_http import AwsHttp
from adapters.streamed_model import Reading, StreamedModel, unusable
from domain.model import Prompt, Stop

SERVICE = "bedrock-runtime"
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


class BedrockModel(StreamedModel):
    """Implements `domain.model.ChatModel`."""

    service = SERVICE
    operation = "ConverseStream"

    def __init__(self, http: AwsHttp, model_id: str, max_tokens: int, temperature: float) -> None:
        path = f"/model/{quote(model_id, safe='')}/converse-stream"
        super().__init__(http, path, max_tokens, temperature)

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

    def _reading(self) -> Reading:
        return _Reading()


class _Reading(Reading):
    def pieces(self, kind: str, payload: bytes) -> Iterator[str]:
        match kind:
            case "contentBlockDelta":
                if piece := _read(payload, _Delta).delta.text:
                    yield piece
            case "messageStop":
                self.stop = STOPS.get(_read(payload, _MessageStop).stop_reason, Stop.WITHHELD)
            case "metadata":
                usage = _read(payload, _Metadata).usage
                self.input_tokens, self.output_tokens = usage.input_tokens, usage.output_tokens


def _read(payload: bytes, kind: type[Event]) -> Event:
    try:
        return msgspec.json.decode(payload, type=kind)
    except msgspec.DecodeError as error:
        raise unusable(SERVICE, "sends what it should not") from error
