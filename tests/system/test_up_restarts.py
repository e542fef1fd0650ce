"""Any child of `mangaassist up` may be killed at any time: it comes back, and so does its work."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.system.running import Stack, eventually, running

CHILDREN = (
    "worker-interactive",
    "worker-streams",
    "worker-precompute",
    "relay",
    "beat",
    "serving",
    "redis",
    "aws-sqs",
    "aws-moto",
)
FORGETFUL = {"aws-moto"}


@pytest.fixture(scope="module")
def battered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("battered") / "data") as stack:
        yield stack.until_ready()


@pytest.mark.parametrize("name", CHILDREN)
def test_a_killed_child_comes_back_where_it_was(battered: Stack, name: str) -> None:
    before, pid = battered.endpoints(), battered.pids()[name]
    os.kill(pid, signal.SIGKILL)
    assert "SIGKILL" in battered.until_line(rf"^{name} \(pid {pid}\) ended")
    battered.until_line(rf"^{name} is running again")
    if name in FORGETFUL:
        battered.until_line(rf"^{name} is prepared")
    after = eventually(battered.endpoints, lambda found: found["pids"] != before["pids"])
    assert {**after, "pids": {}} == {**before, "pids": {}}
    _assert_a_question_goes_all_the_way(battered, name)
    assert battered.pids().keys() == before["pids"].keys()


def _assert_a_question_goes_all_the_way(stack: Stack, session: str) -> None:
    """Answered from Redis, and its turn written by way of relay, SQS, worker and DynamoDB."""
    token = stack.token("somebody")
    eventually(
        lambda: stack.ask("ワンピース", session=session, token=token),
        lambda reply: reply.status == 200 and reply.body["source"] == "precomputed",
    )
    eventually(
        lambda: stack.request("GET", f"/v1/sessions/{session}", token=token),
        lambda reply: reply.status == 200,
    )
