"""An operator's command finds the stack or the deployment that it is about, or says how to."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from cli.failures import Failure
from cli.findings import Finding, State, found
from cli.target import aim, names_deployment


@pytest.fixture
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No stack, no settings, no home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.environ", {"HOME": str(tmp_path)})


@pytest.mark.usefixtures("_nowhere")
@pytest.mark.parametrize("data_dir", [None, Path("elsewhere")])
def test_without_a_stack_or_a_deployment_one_line_says_how_to_get_one(
    data_dir: Path | None,
) -> None:
    with pytest.raises(Failure, match=r"no stack is running in .*`make up`.*--data-dir"):
        aim(data_dir)


@pytest.mark.usefixtures("_nowhere")
@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({}, False),
        ({"AWS_CA_BUNDLE": "/etc/ssl/certs"}, False),
        ({"AWS_REGION": ""}, False),
        ({"AWS_REGION": "ap-northeast-1"}, True),
        ({"AWS_PROFILE": "shop"}, True),
        ({"AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:1"}, True),
        ({"MANGAASSIST_REDIS_URL": "redis://127.0.0.1:1/0"}, True),
    ],
)
def test_an_environment_names_a_deployment_by_settings_or_by_a_region(
    variables: Mapping[str, str], names: bool, tmp_path: Path
) -> None:
    assert names_deployment({"HOME": str(tmp_path), **variables}) is names


def test_the_file_of_the_sdk_names_one_too(tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").touch()
    assert names_deployment({"HOME": str(tmp_path)})


def test_a_look_that_stumbles_is_a_finding() -> None:
    def look() -> list[Finding]:
        raise LookupError("two\nlines")

    (finding,) = found("redis", look, "mend it")
    assert finding == Finding("redis", State.FAIL, "LookupError: two lines", "mend it")
