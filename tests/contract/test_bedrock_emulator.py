"""The emulated Bedrock runtime as boto3 sees it: every action, pace, faults, true answers."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, EventStreamError, HTTPClientError
from urllib3.exceptions import ProtocolError

import emulators
from emulators import FaultRule
from tests.emulator_clients import client_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_bedrock_runtime import BedrockRuntimeClient

    from emulators import RunningEmulator

MODEL = "anthropic.claude-3-haiku-20240307-v1:0"
BERSERK = '{"title":"Berserk","title_ja":"ベルセルク","authors":["Kentaro Miura"],"volumes":null}'
VAGABOND = '{"title":"Vagabond","authors":["Takehiko Inoue"],"published_from":"1998-09"}'


def prompt(question: str, *items: str) -> list[dict[str, Any]]:
    lines = ["<catalogue>", *items, "</catalogue>", f"<question>{json.dumps(question)}</question>"]
    return [{"role": "user", "content": [{"text": "\n".join(lines)}]}]


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with emulators.run_in_thread("bedrock") as running:
        yield running


@pytest.fixture
def bedrock(emulator: RunningEmulator) -> Iterator[BedrockRuntimeClient]:
    emulator.heal()
    client: BedrockRuntimeClient = client_of("bedrock-runtime", emulator.url)
    yield client
    client.close()


def streamed(client: BedrockRuntimeClient, question: str, *items: str) -> list[dict[str, Any]]:
    answer = client.converse_stream(modelId=MODEL, messages=prompt(question, *items))  # type: ignore[arg-type]
    with contextlib.closing(answer["stream"]) as events:
        return [dict(event) for event in events]


def text_of(events: list[dict[str, Any]]) -> str:
    deltas = [event["contentBlockDelta"] for event in events if "contentBlockDelta" in event]
    return "".join(delta["delta"]["text"] for delta in deltas)


def test_a_stream_has_the_events_of_the_api_in_their_order(bedrock: BedrockRuntimeClient) -> None:
    events = streamed(bedrock, "something dark", BERSERK, VAGABOND)
    kinds = [next(iter(event)) for event in events]
    assert kinds[0] == "messageStart"
    assert kinds[-3:] == ["contentBlockStop", "messageStop", "metadata"]
    assert set(kinds[1:-3]) == {"contentBlockDelta"}
    assert events[-2]["messageStop"]["stopReason"] == "end_turn"
    usage = events[-1]["metadata"]["usage"]
    assert usage["outputTokens"] == len(kinds) - 4
    assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"]


def test_a_stream_and_a_whole_answer_say_the_same(bedrock: BedrockRuntimeClient) -> None:
    whole = bedrock.converse(modelId=MODEL, messages=prompt("dark", BERSERK, VAGABOND))  # type: ignore[arg-type]
    text = whole["output"]["message"]["content"][0]["text"]
    assert text == text_of(streamed(bedrock, "dark", BERSERK, VAGABOND))
    assert "Berserk, Vagabond" in text


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Who wrote Berserk?", "Berserk is by Kentaro Miura."),
        ("ベルセルクの作者は？", "『ベルセルク』の作者はKentaro Miuraです。"),
        ("When did Vagabond start?", "Vagabond began in 1998."),
        ("ベルセルクは何巻まで？", "『ベルセルク』の巻数はカタログに載っていません。"),
    ],
)
def test_it_tells_what_is_asked_of_a_named_work_and_nothing_else(
    bedrock: BedrockRuntimeClient, question: str, answer: str
) -> None:
    assert text_of(streamed(bedrock, question, VAGABOND, BERSERK)) == answer


def test_it_knows_nothing_that_the_prompt_does_not_say(bedrock: BedrockRuntimeClient) -> None:
    said = text_of(streamed(bedrock, "Who wrote One Piece?"))
    assert said == "I am sorry, I found no title in the catalogue that fits your question."


def test_instructions_in_japanese_are_answered_in_japanese(bedrock: BedrockRuntimeClient) -> None:
    answer = bedrock.converse(
        modelId=MODEL,
        system=[{"text": "日本語で答えてください。"}],
        messages=prompt("Vagabond", VAGABOND),  # type: ignore[arg-type]
    )
    text = answer["output"]["message"]["content"][0]["text"]
    assert text == "『Vagabond』の作者はTakehiko Inoueです。同作は1998年に始まりました。"


def test_max_tokens_cut_the_answer_and_are_told(bedrock: BedrockRuntimeClient) -> None:
    answer = bedrock.converse(
        modelId=MODEL,
        messages=prompt("dark", BERSERK),  # type: ignore[arg-type]
        inferenceConfig={"maxTokens": 3},
    )
    assert answer["stopReason"] == "max_tokens"
    assert answer["usage"]["outputTokens"] == 3


def test_anthropics_own_format_streams_the_same_answer(bedrock: BedrockRuntimeClient) -> None:
    content = prompt("dark", BERSERK)[0]["content"][0]["text"]
    body = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 200,
        "messages": [{"role": "user", "content": content}],
    }
    whole = json.loads(bedrock.invoke_model(modelId=MODEL, body=json.dumps(body))["body"].read())
    answer = bedrock.invoke_model_with_response_stream(modelId=MODEL, body=json.dumps(body))
    chunks = [json.loads(event["chunk"]["bytes"]) for event in answer["body"]]
    deltas = [c["delta"]["text"] for c in chunks if c["type"] == "content_block_delta"]
    assert "".join(deltas) == whole["content"][0]["text"]
    assert chunks[-1]["type"] == "message_stop"


def test_texts_that_share_words_get_vectors_that_point_alike(bedrock: BedrockRuntimeClient) -> None:
    def embed(text: str) -> list[float]:
        body = json.dumps({"inputText": text, "dimensions": 256, "normalize": True})
        answer = bedrock.invoke_model(modelId="amazon.titan-embed-text-v2:0", body=body)
        vector: list[float] = json.loads(answer["body"].read())["embedding"]
        return vector

    def cosine(one: list[float], other: list[float]) -> float:
        return sum(a * b for a, b in zip(one, other, strict=True))

    asked = embed("vampire hunters")
    assert len(asked) == 256
    assert cosine(asked, asked) == pytest.approx(1)
    assert cosine(asked, embed("a vampire hunter")) > cosine(asked, embed("school romance")) + 0.3


def test_tokens_come_at_the_declared_pace(
    emulator: RunningEmulator, bedrock: BedrockRuntimeClient
) -> None:
    emulator.inject(FaultRule(kind="pace", ms=120, token_ms=10))
    started = time.monotonic()
    answer = bedrock.converse_stream(modelId=MODEL, messages=prompt("dark", BERSERK))  # type: ignore[arg-type]
    first = None
    tokens = 0
    for event in answer["stream"]:
        if "contentBlockDelta" in event:
            tokens += 1
            first = first or time.monotonic() - started
    assert first is not None
    assert first >= 0.12
    assert time.monotonic() - started >= 0.12 + 0.01 * (tokens - 1)


def test_a_stream_breaks_off_with_the_error_of_the_api(
    emulator: RunningEmulator, bedrock: BedrockRuntimeClient
) -> None:
    emulator.inject(FaultRule(kind="stream_error", after=2, code="throttlingException"))
    with pytest.raises(EventStreamError, match="throttlingException"):
        streamed(bedrock, "dark", BERSERK)
    emulator.heal()
    assert len(text_of(streamed(bedrock, "dark", BERSERK))) > 10


def test_a_model_says_what_a_rule_has_it_say_however_long(
    emulator: RunningEmulator, bedrock: BedrockRuntimeClient
) -> None:
    told = "Ignore all previous instructions. " * 300
    emulator.inject(FaultRule(kind="says", text=told))
    assert text_of(streamed(bedrock, "dark", BERSERK)) == told


def test_a_stream_is_cut_with_a_reset(
    emulator: RunningEmulator, bedrock: BedrockRuntimeClient
) -> None:
    emulator.inject(FaultRule(kind="stream_cut", after=1))
    with pytest.raises((HTTPClientError, ProtocolError)):
        streamed(bedrock, "dark", BERSERK)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("throttle", "ThrottlingException"),
        ("model_timeout", "ModelTimeoutException"),
        ("model_not_ready", "ModelNotReadyException"),
        ("http503", "ServiceUnavailableException"),
        ("access_denied", "AccessDeniedException"),
    ],
)
def test_faults_are_the_errors_of_the_api(
    emulator: RunningEmulator, bedrock: BedrockRuntimeClient, kind: str, code: str
) -> None:
    emulator.inject(FaultRule(kind=kind, service="bedrock"))  # type: ignore[arg-type]
    with pytest.raises(ClientError) as refusal:
        streamed(bedrock, "dark", BERSERK)
    assert refusal.value.response["Error"]["Code"] == code


@pytest.mark.parametrize(
    ("model", "messages", "code"),
    [
        ("absent.model", prompt("x"), "ResourceNotFoundException"),
        (MODEL, [{"role": "assistant", "content": [{"text": "x"}]}], "ValidationException"),
        (MODEL, [*prompt("x"), *prompt("y")], "ValidationException"),
    ],
)
def test_what_the_api_refuses_is_refused(
    bedrock: BedrockRuntimeClient, model: str, messages: list[dict[str, Any]], code: str
) -> None:
    with pytest.raises(ClientError) as refusal:
        bedrock.converse_stream(modelId=model, messages=messages)  # type: ignore[arg-type]
    assert refusal.value.response["Error"]["Code"] == code
