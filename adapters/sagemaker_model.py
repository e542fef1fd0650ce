"""A chat model on a SageMaker endpoint, by InvokeEndpointWithResponseStream.

The container takes the messages format that the common serving containers share and streams
`data:` lines with deltas; parts of the stream respect neither lines nor letters. Needs
sagemaker:InvokeEndpointWithResponseStream on the endpoint.
"""

from collections.abc import Iterator
from urllib.parse import quote

import msgspec

from adapters.aws_http import AwsHttp
from adapters.streamed_model import Reading, StreamedModel, unusable
from domain.model import Prompt, Stop

SERVICE = "sagemaker-runtime"
STOPS = {"stop": Stop.DONE, "eos_token": Stop.DONE, "length": Stop.LENGTH}
"""All other reasons mean that what was said must not be used."""
MAX_LINE_BYTES = 1024 * 1024
PREFIX = b"data:"
LAST = b"[DONE]"


class _Text(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Text = msgspec.field(default_factory=_Text)
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: msgspec.Raw | None = None


class SageMakerModel(StreamedModel):
    """Implements `domain.model.ChatModel`."""

    service = SERVICE
    operation = "InvokeEndpointWithResponseStream"

    def __init__(self, http: AwsHttp, endpoint: str, max_tokens: int, temperature: float) -> None:
        path = f"/endpoints/{quote(endpoint, safe='')}/invocations-response-stream"
        super().__init__(http, path, max_tokens, temperature)

    def _body(self, prompt: Prompt, max_tokens: int) -> bytes:
        turns = [{"role": message.role, "content": message.text} for message in prompt.messages]
        system = [{"role": "system", "content": prompt.system}] if prompt.system else []
        return msgspec.json.encode(
            {
                "messages": system + turns,
                "stream": True,
                "stream_options": {"include_usage": True},
                "max_tokens": max_tokens,
                "temperature": self._temperature,
            }
        )

    def _reading(self) -> Reading:
        return _Reading()


class _Reading(Reading):
    def __init__(self) -> None:
        super().__init__()
        self._lines = _Lines()

    def pieces(self, kind: str, payload: bytes) -> Iterator[str]:
        if kind != "PayloadPart":
            return
        for chunk in self._lines.chunks(payload):
            if (usage := chunk.usage) is not None:
                self.input_tokens = usage.prompt_tokens
                self.output_tokens = usage.completion_tokens
            for choice in chunk.choices:
                if choice.delta.content:
                    yield choice.delta.content
                if choice.finish_reason is not None:
                    self.stop = STOPS.get(choice.finish_reason, Stop.WITHHELD)


class _Lines:
    """Whole lines out of parts."""

    def __init__(self) -> None:
        self._rest = b""

    def chunks(self, part: bytes) -> Iterator[_Chunk]:
        """What the lines say that this part completes; raises Transient for what cannot be read."""
        *lines, self._rest = (self._rest + part).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            raise unusable(SERVICE, "sends a line without an end")
        for line in lines:
            said = line.strip().removeprefix(PREFIX).strip()
            if not line.startswith(PREFIX) or said == LAST:
                continue
            try:
                chunk = msgspec.json.decode(said, type=_Chunk)
            except msgspec.DecodeError as error:
                raise unusable(SERVICE, "sends what it should not") from error
            if chunk.error is not None:
                raise unusable(SERVICE, "reports an error of the model")
            yield chunk
