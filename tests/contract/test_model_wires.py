"""What the chat models send, and what they make of streams that our emulators never send."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from domain.errors import Transient
from domain.model import Ended, Prompt, Stop
from domain.routing import Size
from emulators.event_stream import CONTENT_TYPE, event
from emulators.http_server import HttpServer
from emulators.wire import Outcome, Request, Response
from tests.chat_bench import PROVIDERS, chat_models, failure, prompt, said


class Recorder:
    """A server that keeps requests and answers all with one stream."""

    def __init__(self, *frames: bytes) -> None:
        self.requests: list[Request] = []
        self._frames = frames

    def __call__(self, request: Request) -> Outcome:
        self.requests.append(request)
        return Response(content_type=CONTENT_TYPE, stream=self._stream())

    async def _stream(self) -> AsyncIterator[bytes]:
        for frame in self._frames:
            yield frame


@dataclass(frozen=True)
class Wire:
    """How one service streams `a` and then ends, for this reason, and how its SDK asks it."""

    piece: bytes
    stop: Callable[[str], bytes]
    done: str
    counted: bytes
    """Ten tokens in, and one out."""
    ask: Callable[[Prompt], None]
    endpoint: str
    signing_name: str


def _part(text: str) -> bytes:
    return event("PayloadPart", text.encode())


def _ask_bedrock(asked: Prompt) -> None:
    client: Any = boto3.client("bedrock-runtime", region_name="ap-northeast-1")
    answer = client.converse_stream(
        modelId=PROVIDERS["bedrock"],
        system=[{"text": asked.system}],
        messages=[{"role": m.role, "content": [{"text": m.text}]} for m in asked.messages],
        inferenceConfig={"maxTokens": 400, "temperature": 0.2},
    )
    list(answer["stream"])
    client.close()


def _ask_sagemaker(asked: Prompt) -> None:
    client: Any = boto3.client("sagemaker-runtime", region_name="ap-northeast-1")
    messages = [{"role": m.role, "content": m.text} for m in asked.messages]
    body = {
        "messages": [{"role": "system", "content": asked.system}, *messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 400,
        "temperature": 0.2,
    }
    answer = client.invoke_endpoint_with_response_stream(
        EndpointName=PROVIDERS["sagemaker"], ContentType="application/json", Body=json.dumps(body)
    )
    list(answer["Body"])
    client.close()


WIRES = {
    "bedrock": Wire(
        piece=event("contentBlockDelta", b'{"contentBlockIndex":0,"delta":{"text":"a"}}'),
        stop=lambda why: event("messageStop", json.dumps({"stopReason": why}).encode()),
        done="end_turn",
        counted=event("metadata", b'{"usage":{"inputTokens":10,"outputTokens":1}}'),
        ask=_ask_bedrock,
        endpoint="AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
        signing_name="bedrock",
    ),
    "sagemaker": Wire(
        piece=_part('data: {"choices":[{"delta":{"content":"a"}}]}\n\n'),
        stop=lambda why: _part(f'data: {{"choices":[{{"finish_reason":"{why}"}}]}}\n\n'),
        done="stop",
        counted=_part('data: {"usage":{"prompt_tokens":10,"completion_tokens":1}}\n\n'),
        ask=_ask_sagemaker,
        endpoint="AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME",
        signing_name="sagemaker",
    ),
}
BEDROCK, SAGEMAKER = WIRES["bedrock"], WIRES["sagemaker"]
BAD_LINE = _part("data: {no json}\n")


@asynccontextmanager
async def listening(recorder: Recorder) -> AsyncIterator[str]:
    server = HttpServer(recorder)
    try:
        yield f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}"
    finally:
        await server.close()


async def said_by(provider: str, *frames: bytes) -> tuple[str, Ended | None]:
    async with (
        listening(Recorder(*frames)) as url,
        chat_models(provider, url) as models,
    ):
        return await said(models.of(Size.SMALL))


@pytest.mark.parametrize(
    ("provider", "frames"),
    [
        *((name, (wire.piece,)) for name, wire in WIRES.items()),  # no end
        *((name, (wire.piece, wire.stop(wire.done)[:-5])) for name, wire in WIRES.items()),
        *((name, (wire.piece, wire.stop("x")[:-1] + b"\0")) for name, wire in WIRES.items()),
        *((name, (b"HTTP?" * 10,)) for name in WIRES),
        ("bedrock", (BEDROCK.piece, event("messageStop", b"{}"))),
        ("bedrock", (BEDROCK.piece, event("messageStop", b"no json"))),
        ("sagemaker", (SAGEMAKER.piece, BAD_LINE, SAGEMAKER.stop("stop"))),
        ("sagemaker", (SAGEMAKER.piece, _part('data: {"error":"x"}\n'), SAGEMAKER.stop("stop"))),
        ("sagemaker", (SAGEMAKER.piece, *[_part("data: " + "x" * 90_000)] * 13)),
    ],
)
async def test_a_garbled_stream_is_no_answer(provider: str, frames: tuple[bytes, ...]) -> None:
    assert isinstance(await failure(lambda: said_by(provider, *frames)), Transient)


@pytest.mark.parametrize("reason", ["guardrail_intervened", "content_filtered", "tool_use", "new"])
@pytest.mark.parametrize("provider", WIRES)
async def test_an_answer_that_was_filtered_is_withheld(provider: str, reason: str) -> None:
    wire = WIRES[provider]
    _, ended = await said_by(provider, wire.piece, wire.stop(reason))
    assert ended == Ended(Stop.WITHHELD, 0, 0)


@pytest.mark.parametrize("is_counted_first", [True, False])
@pytest.mark.parametrize("provider", WIRES)
async def test_tokens_are_counted_wherever_they_come(
    provider: str, *, is_counted_first: bool
) -> None:
    wire = WIRES[provider]
    end = [wire.counted, wire.stop(wire.done)]
    frames = end if is_counted_first else reversed(end)
    assert await said_by(provider, wire.piece, *frames) == ("a", Ended(Stop.DONE, 10, 1))


@pytest.fixture(params=list(WIRES))
async def provider(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def recorder(provider: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Recorder]:
    """A server where the SDK's own variables say that the service is."""
    wire = WIRES[provider]
    recording = Recorder(wire.piece, wire.stop(wire.done))
    async with listening(recording) as url:
        monkeypatch.setenv(wire.endpoint, url)
        monkeypatch.setenv("AWS_REGION", "ap-northeast-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        yield recording


async def test_requests_are_those_of_the_sdk(provider: str, recorder: Recorder) -> None:
    wire, asked = WIRES[provider], prompt()
    async with chat_models(provider) as models:
        await said(models.of(Size.SMALL))
        await asyncio.to_thread(wire.ask, asked)
    ours, sdks = recorder.requests
    assert (ours.method, ours.path) == (sdks.method, sdks.path)
    assert json.loads(ours.body) == json.loads(sdks.body)
    for header in (b"host", b"content-type"):
        assert ours.headers[header] == sdks.headers[header]
    for request in (ours, sdks):
        scope, signed, _signature = request.header(b"authorization").split(", ")
        assert scope.endswith(f"/ap-northeast-1/{wire.signing_name}/aws4_request")
        assert "host;x-amz-date" in signed


async def test_without_credentials_the_service_is_not_called(
    provider: str, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    async with chat_models(provider) as models:
        error = await failure(lambda: said(models.of(Size.SMALL)))
    assert isinstance(error, Transient)
    assert not recorder.requests
