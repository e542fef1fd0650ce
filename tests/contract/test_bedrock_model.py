"""What Bedrock's adapter sends, and what it makes of streams that our emulator never sends."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import boto3
import pytest

from adapters.aws_clients import AwsClients
from adapters.chat_models import ChatModels
from domain.errors import Transient
from domain.model import Ended, Prompt, Stop
from domain.routing import Size
from emulators.event_stream import CONTENT_TYPE, event
from emulators.http_server import HttpServer
from emulators.wire import Outcome, Request, Response
from tests.chat_bench import PROVIDERS, ClientsAt, failure, prompt, said, table_of


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


GOOD = (event("contentBlockDelta", b'{"contentBlockIndex":0,"delta":{"text":"a"}}'),)
STOPPED = event("messageStop", b'{"stopReason":"end_turn"}')


@pytest.mark.parametrize(
    "frames",
    [
        (*GOOD,),  # no end
        (*GOOD, STOPPED[:-5]),  # half a frame
        (*GOOD, STOPPED[:-1] + b"\0"),  # a wrong checksum
        (*GOOD, event("messageStop", b"{}")),
        (*GOOD, event("messageStop", b"no json")),
        (b"HTTP?" * 10,),
    ],
)
async def test_a_garbled_stream_is_no_answer(frames: tuple[bytes, ...]) -> None:
    error = await failure(lambda: _said_by(Recorder(*frames)))
    assert isinstance(error, Transient)


@pytest.mark.parametrize("reason", ["guardrail_intervened", "content_filtered", "tool_use", "new"])
async def test_an_answer_that_was_filtered_is_withheld(reason: str) -> None:
    stop = event("messageStop", json.dumps({"stopReason": reason}).encode())
    _, ended = await _said_by(Recorder(*GOOD, stop))
    assert ended == Ended(Stop.WITHHELD, 0, 0)


async def _said_by(recorder: Recorder) -> tuple[str, Ended | None]:
    server = HttpServer(recorder)
    url = f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}"
    chat_models = ChatModels(ClientsAt(url), table_of("bedrock"))
    try:
        return await said(chat_models.of(Size.SMALL))
    finally:
        await chat_models.close()
        await server.close()


@pytest.fixture
async def recorder(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Recorder]:
    """A server where the SDK's own variables say that Bedrock is."""
    recording = Recorder(*GOOD, STOPPED)
    server = HttpServer(recording)
    url = f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}"
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", url)
    monkeypatch.setenv("AWS_REGION", "ap-northeast-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    yield recording
    await server.close()


async def test_requests_are_those_of_the_sdk(recorder: Recorder) -> None:
    chat_models = ChatModels(AwsClients(), table_of("bedrock"))
    asked = prompt()
    await said(chat_models.of(Size.SMALL))
    await asyncio.to_thread(_ask_by_sdk, asked)
    await chat_models.close()
    ours, sdks = recorder.requests
    assert (ours.method, ours.path) == (sdks.method, sdks.path)
    assert json.loads(ours.body) == json.loads(sdks.body)
    assert ours.headers[b"host"] == sdks.headers[b"host"]
    for request in (ours, sdks):
        scope, signed, _signature = request.header(b"authorization").split(", ")
        assert scope.endswith("/ap-northeast-1/bedrock/aws4_request")
        assert "host;x-amz-date" in signed


def _ask_by_sdk(asked: Prompt) -> None:
    client: Any = boto3.client("bedrock-runtime", region_name="ap-northeast-1")
    answer = client.converse_stream(
        modelId=PROVIDERS["bedrock"],
        system=[{"text": asked.system}],
        messages=[{"role": m.role, "content": [{"text": m.text}]} for m in asked.messages],
        inferenceConfig={"maxTokens": 400, "temperature": 0.2},
    )
    list(answer["stream"])
    client.close()


async def test_without_credentials_the_service_is_not_called(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    chat_models = ChatModels(AwsClients(), table_of("bedrock"))
    error = await failure(lambda: said(chat_models.of(Size.SMALL)))
    await chat_models.close()
    assert isinstance(error, Transient)
    assert not recorder.requests
