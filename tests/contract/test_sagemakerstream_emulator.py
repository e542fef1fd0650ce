"""The emulated response stream of SageMaker's runtime, as boto3 sees it."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, EventStreamError

import emulators
from emulators import FaultRule
from tests.emulator_clients import client_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

    from emulators import RunningEmulator

ITEM = '{"title":"Monster","title_ja":"モンスター","authors":["Naoki Urasawa"]}'


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with emulators.run_in_thread("sagemaker-stream") as running:
        yield running


@pytest.fixture
def sagemaker(emulator: RunningEmulator) -> Iterator[SageMakerRuntimeClient]:
    emulator.heal()
    client: SageMakerRuntimeClient = client_of("sagemaker-runtime", emulator.url)
    yield client
    client.close()


def parts(client: SageMakerRuntimeClient, **changes: Any) -> list[bytes]:
    content = f"{ITEM}\n<question>{json.dumps('モンスターの作者は')}</question>"
    body = {"messages": [{"role": "user", "content": content}], "stream": True, **changes}
    answer = client.invoke_endpoint_with_response_stream(
        EndpointName="chat", Body=json.dumps(body), ContentType="application/json"
    )
    with contextlib.closing(answer["Body"]) as stream:
        return [event["PayloadPart"]["Bytes"] for event in stream]


def test_the_parts_together_are_lines_with_deltas(sagemaker: SageMakerRuntimeClient) -> None:
    whole = b"".join(parts(sagemaker)).decode()
    lines = [line.removeprefix("data: ") for line in whole.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    chunks = [json.loads(line) for line in lines[:-1]]
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert text == "『モンスター』の作者はNaoki Urasawaです。"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]["completion_tokens"] == len(chunks) - 1


def test_no_part_ends_where_a_line_does(sagemaker: SageMakerRuntimeClient) -> None:
    assert all(not part.endswith(b"\n\n") for part in parts(sagemaker)[:-1])


def test_a_stream_breaks_off_with_the_error_of_the_api(
    emulator: RunningEmulator, sagemaker: SageMakerRuntimeClient
) -> None:
    emulator.inject(FaultRule(kind="stream_error", after=2))
    with pytest.raises(EventStreamError, match="ModelStreamError"):
        parts(sagemaker)


def test_a_model_says_what_a_rule_has_it_say(
    emulator: RunningEmulator, sagemaker: SageMakerRuntimeClient
) -> None:
    emulator.inject(FaultRule(kind="says", text="nonsense"))
    assert b"nonsen" in b"".join(parts(sagemaker))


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (FaultRule(kind="model_not_ready"), "ModelNotReadyException"),
        (FaultRule(kind="http503"), "ServiceUnavailable"),
    ],
)
def test_faults_are_the_errors_of_the_api(
    emulator: RunningEmulator, sagemaker: SageMakerRuntimeClient, rule: FaultRule, code: str
) -> None:
    emulator.inject(rule)
    with pytest.raises(ClientError) as refusal:
        parts(sagemaker)
    assert refusal.value.response["Error"]["Code"] == code


def test_a_body_that_the_container_does_not_know_is_a_model_error(
    sagemaker: SageMakerRuntimeClient,
) -> None:
    with pytest.raises(ClientError) as refusal:
        parts(sagemaker, stream=False)
    assert refusal.value.response["Error"]["Code"] == "ModelError"
