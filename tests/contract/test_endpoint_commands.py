"""`mangaassist endpoints` and the lines of `doctor`: for people, for programs, and exit codes."""

import json

import msgspec
import pytest

from adapters.aws_clients import AwsClients
from cli import endpoint_commands
from cli.failures import FAILED, Failure
from cli.findings import State
from config import endpoints
from config.settings import Settings
from tests.ports import free_port


@pytest.fixture(autouse=True)
def settings(warm_moto: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """That there are settings of the environment means that no embedded stack is looked for.

    Nor is an endpoint unhealthy because the machine is busy.
    """
    monkeypatch.setenv("MANGAASSIST_LOG_LEVEL", "INFO")
    table = msgspec.structs.replace(endpoints.load(), timeout_seconds=60)
    monkeypatch.setattr(endpoints, "declared", lambda: table)


@pytest.fixture
def no_sqs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", f"http://127.0.0.1:{free_port()}")


def test_programs_get_every_figure(capsys: pytest.CaptureFixture[str]) -> None:
    endpoint_commands.run(None, as_json=True)
    rows = {row["service"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["logs"]["status"] == "healthy"
    assert rows["logs"]["reach"] == "loopback"
    assert rows["logs"]["addresses"] == ["127.0.0.1"]
    assert rows["logs"]["call_ms"] > 0
    assert rows["logs"]["tls_ms"] is None


@pytest.mark.usefixtures("no_sqs")
def test_one_that_is_unhealthy_is_shown_and_makes_the_command_fail(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(Failure, match="unhealthy: 1 of 8 endpoints") as failure:
        endpoint_commands.run(None, as_json=False)
    assert failure.value.code == FAILED
    lines = capsys.readouterr().out.splitlines()
    row = next(line for line in lines if line.startswith("sqs"))
    assert "fail" in row
    assert "connection failed: Connection refused" in row


@pytest.mark.usefixtures("no_sqs")
def test_doctor_has_a_line_for_each() -> None:
    found = {row.what: row for row in endpoint_commands.findings(AwsClients(), Settings())}
    assert found["endpoint sqs"].state is State.FAIL
    assert "docs/runbooks/endpoints.md" in found["endpoint sqs"].hint
    assert found["endpoint logs"].state is State.OK
    assert not found["endpoint logs"].hint
