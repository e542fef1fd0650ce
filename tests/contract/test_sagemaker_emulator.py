"""InvokeEndpoint as an SDK and the adapter see it: the emulator, and a container behind it."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

import emulators
from adapters.aws_clients import AwsClients
from adapters.sagemaker_recommender import SageMakerRecommender
from domain.errors import MangaAssistError, Permanent, Transient
from domain.recommendations import RecommendationRequest, Recommended
from emulators.app import EmulatorSettings
from emulators.faults import FaultRule
from emulators.runner import RunningEmulator
from recommender.content import Described
from recommender.model import save
from recommender.server import Deployed, ModelServer
from recommender.training import train

TITLES = [Described(name, [("action", 1.0)], len(name)) for name in ("bleach", "naruto", "toriko!")]
REQUEST = RecommendationRequest(["naruto"], {"user-profile": {"country": "JP"}}, 10)
SECONDS = 60.0


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    return tmp_path / "model.npz"


@pytest.fixture
def container(model_file: Path) -> Iterator[str]:
    save(train(TITLES), model_file)
    with _serving(ModelServer(0, Deployed(model_file))) as url:
        yield url


class _serving:  # noqa: N801 - used as a function
    def __init__(self, server: ThreadingHTTPServer) -> None:
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, args=(0.02,))

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def sagemaker(container: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningEmulator]:
    with _emulator(f"recommender={container}", monkeypatch) as running:
        yield running


def _emulator(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    settings = EmulatorSettings(services=("sagemaker",), endpoints=(endpoint,))

    class Pointed:
        def __enter__(self) -> RunningEmulator:
            self._running = emulators.run_in_thread(settings=settings)
            running = self._running.__enter__()
            monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", running.url)
            monkeypatch.setenv("AWS_REGION", "ap-northeast-1")
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
            return running

        def __exit__(self, *error: object) -> None:
            self._running.__exit__(*cast("tuple[None, None, None]", error))

    return Pointed()


@pytest.fixture
def clients() -> Iterator[AwsClients]:
    made = AwsClients()
    yield made
    made.close()


def test_the_answer_of_the_container_is_passed_on(
    sagemaker: RunningEmulator, clients: AwsClients
) -> None:
    body = json.dumps({"recent": ["naruto"], "limit": 1})
    reply = clients.sagemaker_runtime(SECONDS).invoke_endpoint(
        EndpointName="recommender", ContentType="application/json", Body=body
    )
    assert reply["ContentType"] == "application/json"
    assert reply["InvokedProductionVariant"] == "AllTraffic"
    answer = json.loads(reply["Body"].read())
    assert [item["id"] for item in answer["items"]] == ["toriko!"]
    assert sagemaker.calls() == {"sagemaker": {"InvokeEndpoint": 1}}


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [
        ("model_error", "ModelError", 424),
        ("model_not_ready", "ModelNotReadyException", 429),
        ("throttle", "ThrottlingException", 400),
        ("dependency", "InternalDependencyException", 530),
        ("http503", "ServiceUnavailable", 503),
        ("http500", "InternalFailure", 500),
    ],
)
def test_a_fault_has_the_code_and_status_of_the_api(
    sagemaker: RunningEmulator, clients: AwsClients, kind: Any, code: str, status: int
) -> None:
    sagemaker.inject(FaultRule(kind=kind, service="sagemaker", resource="recommender"))
    with pytest.raises(ClientError) as raised:
        clients.sagemaker_runtime(SECONDS).invoke_endpoint(EndpointName="recommender", Body=b"{}")
    assert raised.value.response["Error"]["Code"] == code
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    with pytest.raises(Transient) as translated:
        SageMakerRecommender(clients, "recommender").recommend(REQUEST, SECONDS)
    assert translated.value.dependency == "sagemaker"
    assert sagemaker.calls()["sagemaker"]["InvokeEndpoint"] == 2, "nothing is tried twice"


def test_what_the_container_refuses_is_a_model_error_with_its_status(
    sagemaker: RunningEmulator, clients: AwsClients
) -> None:
    with pytest.raises(ClientError) as raised:
        clients.sagemaker_runtime(SECONDS).invoke_endpoint(EndpointName="recommender", Body=b"{")
    found: Any = raised.value.response
    assert (found["Error"]["Code"], found["OriginalStatusCode"]) == ("ModelError", 400)


def test_an_unknown_endpoint_is_a_wrong_request(
    sagemaker: RunningEmulator, clients: AwsClients
) -> None:
    with pytest.raises(Permanent):
        SageMakerRecommender(clients, "another").recommend(REQUEST, SECONDS)


def test_without_a_container_or_a_model_the_endpoint_is_not_ready(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, model_file: Path
) -> None:
    with _emulator("recommender=http://127.0.0.1:9", monkeypatch), pytest.raises(Transient):
        SageMakerRecommender(clients, "recommender").recommend(REQUEST, SECONDS)
    with _serving(ModelServer(0, Deployed(model_file))) as url:
        fresh = AwsClients()
        with _emulator(f"recommender={url}", monkeypatch), pytest.raises(Transient):
            SageMakerRecommender(fresh, "recommender").recommend(REQUEST, SECONDS)
        fresh.close()


def test_a_model_that_is_replaced_is_taken_over(
    sagemaker: RunningEmulator, clients: AwsClients, model_file: Path
) -> None:
    recommender = SageMakerRecommender(clients, "recommender")
    first = recommender.recommend(REQUEST, SECONDS)
    assert [one.item_id for one in first] == ["toriko!", "bleach"]
    save(train([*TITLES, Described("one piece", [("action", 1.0)], 99)]), model_file)
    assert recommender.recommend(REQUEST, SECONDS)[0].item_id == "one piece"
    model_file.write_bytes(b"half a model")
    assert recommender.recommend(REQUEST, SECONDS)[0].item_id == "one piece"


def test_the_endpoint_learns_titles_and_features_and_nothing_else(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies: list[bytes] = []
    with (
        _serving(_saying(b'{"items": [{"id": "a", "score": 1}]}', bodies.append)) as url,
        _emulator(f"recommender={url}", monkeypatch),
    ):
        found = SageMakerRecommender(clients, "recommender").recommend(REQUEST, SECONDS)
    assert found == [Recommended("a", 1.0)]
    assert [json.loads(body) for body in bodies] == [
        {"recent": ["naruto"], "features": {"user-profile": {"country": "JP"}}, "limit": 10}
    ]


@pytest.mark.parametrize(
    "answer",
    [b"", b"[]", b'{"items": [{"id": 7}]}', b'{"items": [{"id": "a", "score": "b"}]}', b"\xff" * 9],
)
def test_an_answer_that_cannot_be_read_is_none(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    with (
        _serving(_saying(answer)) as url,
        _emulator(f"recommender={url}", monkeypatch),
        pytest.raises(MangaAssistError) as raised,
    ):
        SageMakerRecommender(clients, "recommender").recommend(REQUEST, SECONDS)
    assert isinstance(raised.value, Transient)


def _saying(answer: bytes, told: Callable[[bytes], None] = lambda _: None) -> ThreadingHTTPServer:
    class Fixed(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1024

        def do_POST(self) -> None:
            told(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Fixed)
    server.daemon_threads = True
    return server
