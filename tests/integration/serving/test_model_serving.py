"""Custom questions to a real serving process: models and search at the wire, and their faults."""

import asyncio
import json
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection

import emulators
from adapters.aws_http import AwsHttp
from adapters.bedrock_embeddings import SERVICE, BedrockEmbeddings
from adapters.event_jobs import translate
from adapters.msgpack_wire import decode_event
from adapters.opensearch_client import opensearch
from adapters.opensearch_titles import OpenSearchTitles
from config import answers, models
from config.budgets import Budgets, declared
from config.wordings import genre_words
from domain.catalogue import Catalogue
from domain.events import AnswerCompleted, AnswerGenerated, Event, QuestionTaken
from emulators import FaultRule, RunningEmulator
from tests import unhurried
from tests.chat_bench import ClientsAt, until
from tests.integration.serving.client import Connection, Reply, chat, post
from tests.integration.serving.model_app import ALIAS, SampleCatalogue
from tests.integration.serving.processes import (
    Serving,
    Valkey,
    start_serving,
    stop,
    token,
    wait_until,
)
from tests.integration.serving.test_websocket import heard, open_to

INDEXED = {"akira", "one-piece", "monster", "pluto", "berserk", "slam-dunk"}
LONG_MS = 60_000
AKIRA, ONE_PIECE = "Who drew Akira?", "ワンピースの作者は誰ですか"


@pytest.fixture(scope="module")
def aws() -> Iterator[RunningEmulator]:
    with emulators.run_in_thread("bedrock", "sagemaker-stream", "opensearch") as running:
        asyncio.run(load_titles(running.url))
        yield running


async def load_titles(url: str) -> None:
    """Put a part of the catalogue into the emulated OpenSearch, as `mangaassist index` does."""
    sample = SampleCatalogue().load()
    some = Catalogue(title for title in sample.by_popularity if title.id in INDEXED)
    assert len(some) == len(INDEXED)
    clients = ClientsAt(url)
    client, http = opensearch(url, clients), AwsHttp(clients, SERVICE)
    words = partial(genre_words, answers.declared().patterns)
    embeddings = BedrockEmbeddings(http, models.declared().embedding)
    await OpenSearchTitles(client, ALIAS, embeddings, words).load(some, "1")
    await client.close()
    await http.close()


@pytest.fixture(scope="module")
def serving(
    valkey: Valkey, aws: RunningEmulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serving]:
    directory = tmp_path_factory.mktemp("model")
    process = start_serving(valkey, directory, app="model_app", more=[aws.url, aws.url])
    try:
        wait_until(process.ready, "the request path is ready")
        yield process
    finally:
        stop(process)


@pytest.fixture(scope="module")
def hurried(
    valkey: Valkey, aws: RunningEmulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serving]:
    """A process that waits for the model as long as is declared, and a second for search."""
    calm, routes = unhurried.budgets().routes, declared().routes
    segments = {**calm["generation"].segments, "search": 1000}
    generation = msgspec.structs.replace(calm["generation"], segments=segments)
    chat = msgspec.structs.replace(
        calm["chat"],
        segments={**routes["chat"].segments, "redis": unhurried.LONG_MS},
    )
    process = start_serving(
        valkey,
        tmp_path_factory.mktemp("hurried"),
        app="model_app",
        more=[aws.url, aws.url],
        budgets=Budgets({**calm, "chat": chat, "generation": generation}),
    )
    try:
        wait_until(process.ready, "the request path is ready")
        yield process
    finally:
        stop(process)


@pytest.fixture(autouse=True)
def clean(aws: RunningEmulator, valkey: Valkey) -> Iterator[None]:
    """No faults, no responses, no events of the test before."""
    aws.heal()
    with valkey.client() as client:
        for key in client.scan_iter("response*"):
            client.delete(key)
        client.delete("outbox:0")
    aws.reset_calls()
    yield
    aws.heal()


def events(valkey: Valkey) -> Sequence[Event]:
    with valkey.client() as client:
        return [decode_event(fields[b"e"]) for _, fields in client.xrange("outbox:0")]


def is_kept(valkey: Valkey) -> bool:
    """Whether a response is there for whoever asks next: it comes a little after the answer."""
    with valkey.client() as client:
        return bool(client.keys("response:*"))


def model_calls(aws: RunningEmulator) -> int:
    return aws.calls().get("bedrock", {}).get("ConverseStream", 0)


def rung(reply: Reply) -> str:
    return reply.headers["server-timing"].partition('rung;desc="')[2].partition('"')[0]


async def ask(serving: Serving, message: str, session: str, user: str = "") -> Reply:
    connection = await Connection.to(serving)
    reply = await connection.send(chat(message, session, token(user) if user else None))
    assert reply.status == 200
    await connection.close()
    return reply


async def say(client: ClientConnection, message: str) -> tuple[list[str], dict[str, object]]:
    """The tokens and the answer to a question over a connection."""
    await client.send(json.dumps({"type": "message", "message": message}))
    tokens: list[str] = []
    while (frame := await heard(client))["type"] == "token":
        tokens.append(str(frame["text"]))
    return tokens, frame


@pytest.mark.parametrize(
    ("question", "told"), [(AKIRA, "Akira is by Katsuhiro Otomo."), (ONE_PIECE, "尾田栄一郎")]
)
async def test_a_true_answer_comes_from_the_model_and_then_from_the_cache(
    serving: Serving, aws: RunningEmulator, question: str, told: str
) -> None:
    first = await ask(serving, question, f"s-first-{len(question)}")
    assert told in first.text
    assert (first.json["source"], rung(first)) == ("model", "fresh")
    again = await ask(serving, question, f"s-again-{len(question)}", "alice")
    assert (again.json["source"], again.text) == ("cache", first.text)
    assert model_calls(aws) == 1
    for segment in ("context", "redis", "lease", "search", "prompt", "model"):
        assert f"{segment};dur=" in first.headers["server-timing"]


async def test_the_outbox_tells_the_session_what_was_answered(
    serving: Serving, valkey: Valkey
) -> None:
    reply = await ask(serving, AKIRA, "s-told", "alice")
    await until(lambda: is_kept(valkey))
    cached = await ask(serving, AKIRA, "s-told-too", "alice")
    taken, *made, second = events(valkey)
    assert isinstance(taken, QuestionTaken)
    # They come over two connections, in either order.
    completed, generated = sorted(made, key=lambda event: event.type)
    assert isinstance(generated, AnswerGenerated)
    assert isinstance(completed, AnswerCompleted)
    assert (completed.asked_event_id, completed.answer_preview) == (taken.event_id, reply.text)
    assert second.event_id == cached.json["event_id"]
    with valkey.client() as client:
        fields = client.xrange("outbox:0")[-1][1]
    assert fields[b"f"] == b"1"
    assert reply.text.encode() in translate(fields).jobs[0][1], "the turn has the kept answer"


async def test_tokens_come_before_the_answer_and_say_the_same(serving: Serving) -> None:
    for source in ("model", "cache"):
        async with open_to(serving, f"?session_id=ws-{source}") as client:
            tokens, frame = await say(client, AKIRA)
        assert len(tokens) > 1
        assert frame["source"] == source
        answer = frame["answer"]
        assert isinstance(answer, dict)
        assert "".join(tokens) == answer["text"]


async def test_a_second_question_of_a_conversation_knows_the_first(
    serving: Serving, aws: RunningEmulator
) -> None:
    async with open_to(serving, "?session_id=ws-talk-that-nobody-guesses") as client:
        await say(client, AKIRA)
        _, frame = await say(client, "which genres?")
    answer = frame["answer"]
    assert isinstance(answer, dict)
    assert "Akira" in answer["text"], "found by the question before"
    assert model_calls(aws) == 2


async def test_a_hard_question_goes_to_the_large_model(
    serving: Serving, aws: RunningEmulator
) -> None:
    reply = await ask(serving, "compare Monster and Pluto", "s-hard")
    assert "Naoki Urasawa" in reply.text
    assert aws.calls()["sagemaker-stream"] == {"InvokeEndpointWithResponseStream": 1}
    assert model_calls(aws) == 0


@pytest.mark.parametrize("kind", ["throttle", "model_timeout", "stream_error", "stream_cut"])
async def test_a_model_that_fails_leaves_the_titles_that_were_found_and_nothing_kept(
    serving: Serving, valkey: Valkey, aws: RunningEmulator, kind: str
) -> None:
    aws.inject(FaultRule(kind=kind, service="bedrock", action="ConverseStream"))  # type: ignore[arg-type]
    reply = await ask(serving, AKIRA, f"s-{kind}")
    assert (reply.json["source"], rung(reply)) == ("fallback", "found")
    assert "Akira" in reply.text
    with valkey.client() as client:
        assert not client.keys("response:*")
    completed = events(valkey)[-1]
    assert isinstance(completed, AnswerCompleted)
    assert (completed.rung, completed.answer_preview) == ("found", reply.text[:200])


async def test_a_stream_that_is_cut_ends_with_another_answer(
    serving: Serving, aws: RunningEmulator
) -> None:
    aws.inject(FaultRule(kind="stream_cut", action="ConverseStream", after=2))
    async with open_to(serving, "?session_id=ws-cut") as client:
        tokens, frame = await say(client, AKIRA)
    assert tokens
    assert (frame["type"], frame["source"]) == ("answer", "fallback")


async def test_a_search_that_hangs_costs_its_budget_and_a_generic_answer(
    hurried: Serving, aws: RunningEmulator
) -> None:
    aws.inject(FaultRule(kind="hang", service="opensearch", action="search"))
    reply = await ask(hurried, AKIRA, "s-hang")
    assert (reply.json["source"], rung(reply)) == ("fallback", "generic")
    assert model_calls(aws) == 0
    metrics = hurried.get("/metrics")[2].decode()
    assert 'mangaassist_budget_exceeded_total{segment="search"}' in metrics


async def test_a_model_that_is_late_answers_whoever_asks_next(
    hurried: Serving, aws: RunningEmulator, valkey: Valkey
) -> None:
    aws.inject(FaultRule(kind="hang", service="bedrock", action="ConverseStream"))
    began = time.monotonic()
    assert rung(await ask(hurried, AKIRA, "s-late")) == "found"
    assert time.monotonic() - began >= 1.5, "it was waited for"
    aws.heal()
    await until(lambda: is_kept(valkey))
    assert (await ask(hurried, AKIRA, "s-next")).json["source"] == "cache"
    assert model_calls(aws) == 1


async def test_when_the_client_leaves_nothing_is_made(
    serving: Serving, aws: RunningEmulator, valkey: Valkey
) -> None:
    before = cancelled(serving)
    aws.inject(FaultRule(kind="pace", action="ConverseStream", ms=LONG_MS))
    async with open_to(serving, "?session_id=ws-gone") as client:
        await client.send(json.dumps({"type": "message", "message": AKIRA}))
        await until(lambda: model_calls(aws) == 1)
    connection = await Connection.to(serving)
    connection.writer.write(chat("Who wrote Monster?", "s-gone"))
    await until(lambda: model_calls(aws) == 2)
    await connection.close()

    await until(lambda: cancelled(serving) == before + 2)
    with valkey.client() as redis_client:
        assert not redis_client.keys("response*")


@pytest.mark.parametrize(
    ("path", "version", "more"),
    [
        ("/v1/chat", "1.1", ""),
        ("/v1/chat", "1.0", ""),
        ("/v1/chat?stream=1", "1.1", ""),
        ("/v1/chat", "1.1", "Expect: 100-continue\r\n"),
        ("/v1/chat", "1.1", "Connection: close\r\n"),
    ],
)
@pytest.mark.parametrize("is_reset", [True, False])
async def test_a_client_that_leaves_ends_the_call_however_it_asked(
    serving: Serving, aws: RunningEmulator, path: str, version: str, more: str, *, is_reset: bool
) -> None:
    aws.inject(FaultRule(kind="pace", action="ConverseStream", ms=LONG_MS))
    before = cancelled(serving)
    number = uuid.uuid4().hex
    body = json.dumps({"session_id": f"s-{number}", "message": f"{AKIRA} {number}"}).encode()
    connection = await Connection.to(serving)
    connection.writer.write(
        f"POST {path} HTTP/{version}\r\nHost: test\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n{more}\r\n".encode()
        + body
    )
    await until(lambda: model_calls(aws) == 1)
    await (connection.abort() if is_reset else connection.close())
    await until(lambda: cancelled(serving) == before + 1)


async def test_a_request_of_the_long_way_gets_the_answer_of_the_model(
    serving: Serving, aws: RunningEmulator
) -> None:
    aws.inject(FaultRule(kind="pace", action="ConverseStream", ms=100))
    connection = await Connection.to(serving)
    request = post("/v1/chat?x=1", {"session_id": "s-long-way", "message": AKIRA})
    first, second = await connection.send(request), await connection.send(request)
    assert (first.json["source"], second.json["source"]) == ("model", "model")
    assert first.text == "Akira is by Katsuhiro Otomo."
    await connection.close()


def cancelled(serving: Serving) -> int:
    """How many calls of the small model were."""
    text = serving.get("/metrics")[2].decode()
    found = re.search(r'model_calls_total\{outcome="cancelled",size="small"\} (\d+)', text)
    return int(found[1]) if found else 0


async def test_readiness_says_that_search_and_models_are_warm(serving: Serving) -> None:
    checks = json.loads(serving.get("/readyz")[2])["checks"]["soft"]
    assert {name for name, is_warm in checks.items() if is_warm} >= {
        "search", "model-small", "model-large",
    }  # fmt: skip


async def test_clients_of_several_processes_who_ask_the_same_cost_one_call(
    valkey: Valkey, aws: RunningEmulator, tmp_path: Path, serving: Serving
) -> None:
    aws.inject(FaultRule(kind="pace", action="ConverseStream", ms=300))
    (tmp_path / "other").mkdir()
    other = start_serving(valkey, tmp_path / "other", app="model_app", more=[aws.url, aws.url])
    try:
        await asyncio.to_thread(wait_until, other.ready, "the other process is ready")
        aws.reset_calls()
        asked = [
            ask(process, AKIRA, f"s-{name}-{number}")
            for number in range(60)
            for name, process in (("one", serving), ("other", other))
        ]
        replies = await asyncio.gather(*asked)
    finally:
        stop(other)
    assert {reply.text for reply in replies} == {"Akira is by Katsuhiro Otomo."}
    assert model_calls(aws) == 1
