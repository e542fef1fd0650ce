"""The contract of `ChatModel` on the fake and both adapters, with faults of their services."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass

import pytest

import emulators
from domain.errors import Permanent, Transient
from domain.model import ChatModel, Ended, Message, Prompt, Stop
from domain.routing import Size
from emulators import FaultRule, RunningEmulator
from tests.chat_bench import FACT, LONG, SERVICES, chat_models, failure, prompt, said, until
from tests.model_fakes import FakeChatModel


@dataclass
class Bench:
    """One model and the means to trouble it."""

    model: ChatModel
    inject: Callable[..., None]
    running: Callable[[], int]
    provider: str


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with emulators.run_in_thread("bedrock", "sagemaker-stream") as running:
        yield running


@pytest.fixture(params=["bedrock", "sagemaker"])
async def real(request: pytest.FixtureRequest, emulator: RunningEmulator) -> AsyncIterator[Bench]:
    emulator.heal()
    connections = emulator._app._server._connections
    async with chat_models(request.param, emulator.url) as found:
        model = found.of(Size.SMALL)
        yield Bench(model, emulator.inject, lambda: len(connections), request.param)
    await until(lambda: not connections)


@pytest.fixture(params=["fake", "bedrock", "sagemaker"])
async def model(
    request: pytest.FixtureRequest, emulator: RunningEmulator
) -> AsyncIterator[ChatModel]:
    if request.param == "fake":
        yield FakeChatModel("Monster ", "is by ", "Naoki Urasawa.")
        return
    emulator.heal()
    async with chat_models(request.param, emulator.url) as found:
        yield found.of(Size.LARGE)


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


async def test_a_refusal_costs_no_connection(real: Bench) -> None:
    await said(real.model)
    real.inject(FaultRule(kind="throttle", times=3))
    for _ in range(3):
        await failure(lambda: said(real.model))
    assert real.running() == 1
    assert (await said(real.model))[1] is not None


async def test_a_connection_that_was_dropped_meanwhile_is_not_noticed(real: Bench) -> None:
    await said(real.model)
    real.inject(FaultRule(kind="reset", times=1))
    assert (await said(real.model))[1] is not None
    real.inject(FaultRule(kind="reset"))
    assert isinstance(await failure(lambda: said(real.model)), Transient)


@pytest.mark.parametrize("provider", ["bedrock", "sagemaker"])
async def test_too_long_an_answer_says_that_it_breaks_off(
    emulator: RunningEmulator, provider: str
) -> None:
    emulator.heal()
    question = prompt("something dark")
    facts = "\n".join([question.messages[0].text, *[json.dumps(FACT)] * 4])
    asked = Prompt("", (Message("user", facts),), facts=4, tokens=1)
    async with chat_models(provider, emulator.url, max_tokens=16) as found:
        parts = [part async for part in found.of(Size.SMALL).stream(asked, LONG)]
    assert parts[-1] == Ended(Stop.LENGTH, parts[-1].input_tokens, 16)  # type: ignore[union-attr]
