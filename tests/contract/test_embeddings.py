"""The contract of `Embedder` on both adapters, and what Bedrock alone may do."""

import math
from collections.abc import AsyncIterator, Iterator

import pytest

import emulators
from adapters.aws_http import AwsHttp
from adapters.bedrock_embeddings import SERVICE, BedrockEmbeddings
from adapters.ngram_embeddings import NgramEmbeddings
from config import models
from domain.errors import Transient
from domain.search import Embedder, Vector
from emulators import FaultRule, RunningEmulator
from emulators.http_server import HttpServer
from emulators.wire import Response
from tests.chat_bench import ClientsAt

LONG = 30.0


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with emulators.run_in_thread("bedrock") as running:
        yield running


@pytest.fixture
async def http(emulator: RunningEmulator) -> AsyncIterator[AwsHttp]:
    emulator.heal()
    client = AwsHttp(ClientsAt(emulator.url), SERVICE)
    yield client
    await client.close()


@pytest.fixture(params=["ngrams", "bedrock"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    if request.param == "ngrams":
        return NgramEmbeddings(0.2)
    return BedrockEmbeddings(request.getfixturevalue("http"), models.load().embedding)


def cosine(one: Vector, other: Vector) -> float:
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


async def test_vectors_have_the_said_length_and_length_1(embedder: Embedder) -> None:
    for text in ("One Piece", "鬼滅の刃", "Ａ", "長い" * 5000):
        vector = await embedder.embed(text, LONG)
        assert len(vector) == embedder.dimensions
        assert cosine(vector, vector) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("text", "alike", "other"),
    [
        ("vampire hunters", "a hunter of vampires", "school romance"),
        ("吸血鬼の漫画", "吸血鬼", "学園ラブコメ"),
    ],
)
async def test_what_is_alike_is_nearer_than_the_least_and_what_is_not_is_further(
    embedder: Embedder, text: str, alike: str, other: str
) -> None:
    asked = await embedder.embed(text, LONG)
    near = cosine(asked, await embedder.embed(alike, LONG))
    far = cosine(asked, await embedder.embed(other, LONG))
    assert near > embedder.min_similarity
    assert far < near


async def test_the_same_text_gets_the_same_vector(embedder: Embedder) -> None:
    assert list(await embedder.embed("Monster", LONG)) == list(
        await embedder.embed("Monster", LONG)
    )


@pytest.mark.parametrize("kind", ["throttle", "http503", "hang"])
async def test_what_passes_is_transient(
    http: AwsHttp, emulator: RunningEmulator, kind: str
) -> None:
    emulator.inject(FaultRule(kind=kind))  # type: ignore[arg-type]
    with pytest.raises(Transient) as error:
        await BedrockEmbeddings(http, models.load().embedding).embed("x", 0.5)
    assert error.value.dependency == SERVICE


@pytest.mark.parametrize(
    "answer", [b'{"embedding": [0.6, 0.8]}', b'{"embedding": null}', b"{}", b"no json"]
)
async def test_an_answer_without_a_fitting_vector_is_not_used(answer: bytes) -> None:
    server = HttpServer(lambda _: Response(200, answer))
    url = f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}"
    client = AwsHttp(ClientsAt(url), SERVICE)
    with pytest.raises(Transient, match="no vector"):
        await BedrockEmbeddings(client, models.load().embedding).embed("x", LONG)
    await client.close()
    await server.close()
