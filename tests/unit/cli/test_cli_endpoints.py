import json
from pathlib import Path

import botocore.session
import pytest

from cli.data_dir import DataDir
from cli.embedded import MOTO_SERVICES, OWN_SERVICES
from cli.endpoints import Endpoints, aws_variables, read, without_aws
from cli.failures import Failure
from cli.target import Stack, environment

FOUND = Endpoints(
    http="http://127.0.0.1:8080",
    redis="redis://127.0.0.1:7000/0",
    aws={
        "sqs": "http://127.0.0.1:1",
        "dynamodb": "http://127.0.0.1:2",
        "sagemaker-featurestore-runtime": "http://127.0.0.1:1",
    },
    metrics={"relay": "http://127.0.0.1:3/metrics"},
    pids={"serving": [10], "relay": 11},
)
OUTER = {
    "PATH": "/bin",
    "AWS_PROFILE": "production",
    "AWS_SESSION_TOKEN": "real",
    "HTTPS_PROXY": "http://proxy",
}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "endpoints.json"
    FOUND.write(path)
    assert read(path) == FOUND
    assert set(json.loads(path.read_text())) == {"http", "redis", "aws", "metrics", "pids"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["endpoints.json"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"http": 1}'])
def test_a_file_that_says_something_else_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "endpoints.json"
    path.write_text(content)
    with pytest.raises(Failure, match="cannot be read"):
        read(path)


def test_the_environment_of_a_stack_leads_nowhere_else(tmp_path: Path) -> None:
    found = environment(Stack(DataDir(tmp_path), FOUND), OUTER)
    assert found["PATH"] == "/bin"
    assert found["AWS_ACCESS_KEY_ID"] == "embedded"
    assert found["AWS_ENDPOINT_URL_SQS"] == "http://127.0.0.1:1"
    assert found["AWS_ENDPOINT_URL_SAGEMAKER_FEATURESTORE_RUNTIME"] == "http://127.0.0.1:1"
    assert found["MANGAASSIST_REDIS_URL"] == FOUND.redis
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN", "HTTPS_PROXY"} & set(found)


def test_the_variables_are_those_that_the_sdk_reads() -> None:
    services = (*OWN_SERVICES, *MOTO_SERVICES)
    session = botocore.session.get_session()
    read_by_sdk = {
        session.get_service_model(name).service_id.replace(" ", "_").upper() for name in services
    }
    made = aws_variables(dict.fromkeys(services, "http://127.0.0.1:1"), "http://127.0.0.1:2")
    prefix = "AWS_ENDPOINT_URL_"
    assert {name.removeprefix(prefix) for name in made if name.startswith(prefix)} == read_by_sdk


def test_a_service_that_is_not_named_goes_to_an_emulator_too() -> None:
    assert aws_variables({}, "http://127.0.0.1:2")["AWS_ENDPOINT_URL"] == "http://127.0.0.1:2"
    assert without_aws(OUTER) == {"PATH": "/bin"}
