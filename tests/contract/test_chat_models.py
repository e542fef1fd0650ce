"""The contract of `ChatModel` on the fake and on both adapters, and what is theirs alone."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

import emulators
from adapters.aws_clients import AwsClients
from adapters.chat_models import ChatModels
from config import models
from domain.errors import MangaAssistError, Permanent, Transient
from domain.model import ChatModel, Ended, Message, Prompt, Stop
from domain.prompts import Asked, Limits, assemble
from domain.routing import Size
from emulators import FaultRule, RunningEmulator
from emulators.event_stream import CONTENT_TYPE, event
from emulators.http_server import HttpServer
from emulators.wire import Outcome, Request, Response
from tests.model_fakes import FakeChatModel

PROVIDERS = {"bedrock": "anthropic.claude-test-v1:0", "sagemaker": "chat-test"}
SERVICES = {"bedrock": "bedrock-runtime", "sagemaker": "sagemaker-runtime"}
FACT = {"title": "Monster", "title_ja": "モンスター", "authors": ["Naoki Urasawa"], "volumes": 18}
LONG = 30.0
"""Seconds that only a failing test waits."""


@dataclass
class Bench:
    """One model and the means to trouble it."""

    model: ChatModel
    inject: Callable[..., None]
    running: Callable[[], int]
    provider: str


def table_of(provider: str, *, max_tokens: int = 400) -> models.Models:
    shipped = models.load()
    row = models.Model(
        provider=provider,  # type: ignore[arg-type]
        id=PROVIDERS[provider],
        max_tokens=max_tokens,
        temperature=0.2,
        context_tokens=1000,
    )
    return models.Models(
        prompt_version=1,
        history_turns=5,
        models=models.Sizes(small=row, large=row),
        routing=shipped.routing,
        instructions=shipped.instructions,
        embedding=shipped.embedding,
    )


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with emulators.run_in_thread("bedrock", "sagemaker-stream") as running:
        yield running


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def point_at(url: str) -> None:
        for name in ("BEDROCK_RUNTIME", "SAGEMAKER_RUNTIME"):
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{name}", url)
        monkeypatch.setenv("AWS_REGION", "ap-northeast-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")

    return point_at


@pytest.fixture(params=["bedrock", "sagemaker"])
async def real(
    request: pytest.FixtureRequest, emulator: RunningEmulator, environment: Callable[[str], None]
) -> AsyncIterator[Bench]:
    environment(emulator.url)
    emulator.heal()
    chat_models = ChatModels(AwsClients(), table_of(request.param))
    connections = emulator._app._server._connections
    model = chat_models.of(Size.SMALL)
    yield Bench(model, emulator.inject, lambda: len(connections), request.param)
    await chat_models.close()
    await until(lambda: not connections)


@pytest.fixture(params=["fake", "bedrock", "sagemaker"])
async def model(
    request: pytest.FixtureRequest, emulator: RunningEmulator, environment: Callable[[str], None]
) -> AsyncIterator[ChatModel]:
    if request.param == "fake":
        yield FakeChatModel("Monster ", "is by ", "Naoki Urasawa.")
        return
    environment(emulator.url)
    emulator.heal()
    chat_models = ChatModels(AwsClients(), table_of(request.param))
    yield chat_models.of(Size.LARGE)
    await chat_models.close()


def prompt(question: str = "Who wrote Monster?") -> Prompt:
    asked = Asked(question=question, facts=[FACT])
    return assemble(models.load().instructions.en, asked, Limits(5, 1000))


async def said(model: ChatModel, seconds: float = LONG) -> tuple[str, Ended | None]:
    pieces: list[str] = []
    ended = None
    async for part in model.stream(prompt(), seconds):
        if isinstance(part, Ended):
            ended = part
        else:
            pieces.append(part)
    return "".join(pieces), ended


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONG):
        while not condition():  # noqa: ASYNC110 - another thread's state
            await asyncio.sleep(0.01)


async def failure(call: Callable[[], Awaitable[object]]) -> MangaAssistError:
    with pytest.raises(MangaAssistError) as raised:
        await call()
    return raised.value


async def test_an_answer_comes_in_pieces_and_then_ends(model: ChatModel) -> None:
    text, ended = await said(model)
    assert text == "Monster is by Naoki Urasawa."
    assert ended is not None
    assert ended.stop is Stop.DONE
    assert ended.input_tokens > 0
    assert ended.output_tokens > 1


async def test_a_prompt_without_a_message_is_permanently_wrong(
    model: ChatModel, request: pytest.FixtureRequest
) -> None:
    async def ask() -> None:
        async for _ in model.stream(Prompt("", (), facts=0, tokens=0), LONG):
            pass

    # a container's refusal of a body is indistinguishable from its other errors
    expected = Transient if "sagemaker" in request.node.name else Permanent
    assert isinstance(await failure(ask), expected)


async def test_warming_says_nothing_and_may_be_repeated(model: ChatModel) -> None:
    await model.warm(LONG)
    await model.warm(LONG)


@pytest.mark.parametrize(
    "kind", ["throttle", "model_timeout", "model_not_ready", "http500", "http503", "access_denied"]
)
async def test_what_passes_is_transient_and_names_the_service(real: Bench, kind: str) -> None:
    real.inject(FaultRule(kind=kind))  # type: ignore[arg-type]
    error = await failure(lambda: said(real.model))
    assert isinstance(error, Transient)
    assert error.dependency == SERVICES[real.provider]


@pytest.mark.parametrize("kind", ["stream_error", "stream_cut"])
async def test_an_answer_that_breaks_off_never_ends(real: Bench, kind: str) -> None:
    real.inject(FaultRule(kind=kind, after=2))  # type: ignore[arg-type]
    parts: list[str | Ended] = []

    async def ask() -> None:
        async for part in real.model.stream(prompt(), LONG):
            parts.append(part)  # noqa: PERF401 - what came before the error is what is tested

    error = await failure(ask)
    assert isinstance(error, Transient)
    assert parts
    assert not any(isinstance(part, Ended) for part in parts)
    real.inject()
    assert (await said(real.model))[1] is not None


async def test_the_deadline_holds_before_the_first_token(real: Bench) -> None:
    await real.model.warm(LONG)
    real.inject(FaultRule(kind="pace", ms=60_000))
    error = await failure(lambda: said(real.model, seconds=0.2))
    assert isinstance(error, Transient)
    assert "in time" in str(error)
    await until(lambda: real.running() == 0)


async def test_the_deadline_holds_between_tokens(real: Bench) -> None:
    await real.model.warm(LONG)
    real.inject(FaultRule(kind="pace", token_ms=60_000))
    assert isinstance(await failure(lambda: said(real.model, seconds=0.5)), Transient)
    await until(lambda: real.running() == 0)


async def test_the_deadline_holds_where_nothing_is_answered(real: Bench) -> None:
    real.inject(FaultRule(kind="hang"))
    assert isinstance(await failure(lambda: said(real.model, seconds=0.3)), Transient)


async def test_cancelling_ends_the_call_at_the_service(real: Bench) -> None:
    real.inject(FaultRule(kind="pace", token_ms=60_000))
    first = asyncio.Event()

    async def ask() -> None:
        async with aclosing(real.model.stream(prompt(), LONG)) as parts:
            async for _ in parts:
                first.set()

    task = asyncio.create_task(ask())
    async with asyncio.timeout(LONG):
        await first.wait()
    assert real.running() == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: real.running() == 0)


async def test_leaving_early_ends_the_call_at_the_service(real: Bench) -> None:
    real.inject(FaultRule(kind="pace", token_ms=60_000))
    async with aclosing(real.model.stream(prompt(), LONG)) as parts:
        async for _ in parts:
            break
    await until(lambda: real.running() == 0)


async def test_whole_answers_share_one_connection(real: Bench) -> None:
    for _ in range(3):
        await said(real.model)
    assert real.running() == 1


async def test_a_connection_that_was_dropped_meanwhile_is_not_noticed(real: Bench) -> None:
    await said(real.model)
    real.inject(FaultRule(kind="reset", times=1))
    assert (await said(real.model))[1] is not None
    real.inject(FaultRule(kind="reset"))
    assert isinstance(await failure(lambda: said(real.model)), Transient)


@pytest.mark.parametrize("provider", ["bedrock", "sagemaker"])
async def test_too_long_an_answer_says_that_it_breaks_off(
    emulator: RunningEmulator, environment: Callable[[str], None], provider: str
) -> None:
    environment(emulator.url)
    emulator.heal()
    chat_models = ChatModels(AwsClients(), table_of(provider, max_tokens=16))
    question = prompt("something dark")
    facts = "\n".join([question.messages[0].text, *[json.dumps(FACT)] * 4])
    asked = Prompt("", (Message("user", facts),), facts=4, tokens=1)
    parts = [part async for part in chat_models.of(Size.SMALL).stream(asked, LONG)]
    await chat_models.close()
    assert parts[-1] == Ended(Stop.LENGTH, parts[-1].input_tokens, 16)  # type: ignore[union-attr]


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
async def test_a_garbled_stream_is_no_answer(
    environment: Callable[[str], None], frames: tuple[bytes, ...]
) -> None:
    error = await failure(lambda: _said_by(Recorder(*frames), environment))
    assert isinstance(error, Transient)


@pytest.mark.parametrize("reason", ["guardrail_intervened", "content_filtered", "tool_use", "new"])
async def test_an_answer_that_was_filtered_is_withheld(
    environment: Callable[[str], None], reason: str
) -> None:
    stop = event("messageStop", json.dumps({"stopReason": reason}).encode())
    _, ended = await _said_by(Recorder(*GOOD, stop), environment)
    assert ended == Ended(Stop.WITHHELD, 0, 0)


async def _said_by(
    recorder: Recorder, environment: Callable[[str], None], provider: str = "bedrock"
) -> tuple[str, Ended | None]:
    server = HttpServer(recorder)
    environment(f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}")
    chat_models = ChatModels(AwsClients(), table_of(provider))
    try:
        return await said(chat_models.of(Size.SMALL))
    finally:
        await chat_models.close()
        await server.close()


async def test_requests_are_those_of_the_sdk(environment: Callable[[str], None]) -> None:
    recorder = Recorder(*GOOD, STOPPED)
    server = HttpServer(recorder)
    environment(f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}")
    chat_models = ChatModels(AwsClients(), table_of("bedrock"))
    asked = prompt()
    await said(chat_models.of(Size.SMALL))
    await asyncio.to_thread(_ask_by_sdk, asked)
    await chat_models.close()
    await server.close()
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
    environment: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder()
    server = HttpServer(recorder)
    environment(f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    chat_models = ChatModels(AwsClients(), table_of("bedrock"))
    error = await failure(lambda: said(chat_models.of(Size.SMALL)))
    await chat_models.close()
    await server.close()
    assert isinstance(error, Transient)
    assert not recorder.requests
