"""A chat model on a SageMaker endpoint, by InvokeEndpointWithResponseStream.

The container takes the messages format that the common serving containers share and streams
`data:` lines with deltas; parts of the stream respect neither lines nor letters. Needs
sagemaker:InvokeEndpointWithResponseStream on the endpoint.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from urllib.parse import quote

import msgspec

from adapters.aws_event_stream import events
from adapters.aws_http import AwsHttp
from domain.errors import Transient
from domain.model import WARMING, Ended, Prompt, Stop

SERVICE = "sagemaker-runtime"
OPERATION = "InvokeEndpointWithResponseStream"
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


class SageMakerModel:
    """Implements `domain.model.ChatModel`."""

    def __init__(self, http: AwsHttp, endpoint: str, max_tokens: int, temperature: float) -> None:
        self._http = http
        self._path = f"/endpoints/{quote(endpoint, safe='')}/invocations-response-stream"
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
        usage = _Usage()
        lines = _Lines()
        async with self._http.post(OPERATION, self._path, body, deadline=deadline) as response:
            async for kind, payload in events(response, SERVICE, OPERATION, deadline):
                if kind != "PayloadPart":
                    continue
                for chunk in lines.chunks(payload):
                    usage = chunk.usage or usage
                    for choice in chunk.choices:
                        if choice.delta.content:
                            yield choice.delta.content
                        if choice.finish_reason is not None:
                            stop = STOPS.get(choice.finish_reason, Stop.WITHHELD)
        if stop is None:
            raise _unusable("broke off its answer")
        yield Ended(stop, usage.prompt_tokens, usage.completion_tokens)

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


class _Lines:
    """Whole lines out of parts."""

    def __init__(self) -> None:
        self._rest = b""

    def chunks(self, part: bytes) -> Iterator[_Chunk]:
        """What the lines say that this part completes; raises Transient for what cannot be read."""
        *lines, self._rest = (self._rest + part).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            raise _unusable("sends a line without an end")
        for line in lines:
            said = line.strip().removeprefix(PREFIX).strip()
            if not line.startswith(PREFIX) or said == LAST:
                continue
            try:
                chunk = msgspec.json.decode(said, type=_Chunk)
            except msgspec.DecodeError as error:
                raise _unusable("sends what it should not") from error
            if chunk.error is not None:
                raise _unusable("reports an error of the model")
            yield chunk


def _unusable(what: str) -> Transient:
    return Transient(f"{SERVICE} {what}", dependency=SERVICE)
