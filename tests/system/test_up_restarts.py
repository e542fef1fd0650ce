"""Any child of `mangaassist up`, and `up` itself, may be killed at any time: its work comes back.

All tests share one stack; the last one ends it.
"""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.system.running import (
    TRENDING,
    Stack,
    assert_one_line,
    eventually,
    processes_of,
    run,
    running,
    until_gone,
)

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
IMPORTED = 50
SWEPT_SECONDS = 150.0
"""Half the pause between two sweeps, and several times the period in which one may begin."""
TITLES = "588 titles"
"""Those of the bundled catalogue, and those that were imported."""


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


@pytest.mark.timeout(600)
def test_a_stack_comes_back_with_what_was_imported_however_it_ended(
    battered: Stack, tmp_path: Path
) -> None:
    _import(battered, tmp_path / "catalogue.jsonl")
    _load_features(battered, tmp_path / "features.jsonl")
    _end_by_a_signal(battered)
    with running(battered.data_dir) as again:
        assert _catalogue(again.until_ready()).startswith(TITLES)
        eventually(lambda: _compared(again), bool, SWEPT_SECONDS)
        _kill(again)
    with running(battered.data_dir) as again:
        again.until_ready().asked_until("precomputed", TRENDING)
        assert _catalogue(again).startswith(TITLES)


def _import(stack: Stack, file: Path) -> None:
    """What is imported is what questions are answered from; what was there stays."""
    rows = [
        {"id": f"x{n}", "title": f"The Chronicle of Owl Number {n}", "popularity": 10**6}
        for n in range(IMPORTED)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows) + "nonsense\n")
    done = run("import", file, "--merge", "--data-dir", stack.data_dir)
    assert done.returncode == 0
    assert f"line {IMPORTED + 1}" in done.stderr
    assert f"{IMPORTED} titles, 1 bad row left out; the catalogue has {TITLES}" in done.stdout
    reply = eventually(
        lambda: stack.ask("The Chronicle of Owl Number 7"),
        lambda found: found.body["answer"]["kind"] == "title",
    )
    assert "Owl" in reply.body["answer"]["text"]
    eventually(lambda: stack.ask("ワンピース").body["answer"]["kind"], lambda kind: kind == "title")


def _load_features(stack: Stack, file: Path) -> None:
    """They are merged, and a sweep has just ended, as far as Redis knows."""
    features = {"locale": "ja"}
    row = {"user_id": "me", "group": "user-profile", "event_time": 1e9, "features": features}
    file.write_text(json.dumps(row) + "\n")
    stack.cli("features", "load", file)
    eventually(lambda: _compared(stack), bool)
    with redis.Redis.from_url(stack.endpoints()["redis"]) as client:
        client.set("bookmark:features.swept", repr(time.time()))


def _compared(stack: Stack) -> int:
    return int(json.loads(stack.cli("features", "check", "--json"))["users"])


def _end_by_a_signal(stack: Stack) -> None:
    """It takes everything along that it started."""
    groups = list(stack.pids().values())
    assert stack.stop(signal.SIGTERM) == 0
    # What was orphaned is reaped by init, whenever that gets to it.
    eventually(lambda: [pid for pid in groups if _group_exists(pid)], lambda left: not left)
    assert processes_of(stack.data_dir) == []
    assert not (stack.data_dir / "endpoints.json").exists()


def _kill(stack: Stack) -> None:
    """Nor does a supervisor that is killed leave anything behind."""
    members = stack.members()
    assert len(members) > len(CHILDREN)
    stack.process.kill()
    stack.process.wait()
    until_gone(members)
    assert processes_of(stack.data_dir) == []
    done = run("answers", "list", "--data-dir", stack.data_dir)
    assert_one_line(done.returncode, done.stderr, "no stack is running")


def _catalogue(stack: Stack) -> str:
    findings = json.loads(stack.cli("doctor", "--json"))
    return str(next(row["detail"] for row in findings if row["what"] == "catalogue"))


def _group_exists(leader: int) -> bool:
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    return True


def _assert_a_question_goes_all_the_way(stack: Stack, session: str) -> None:
    """Answered from Redis, and its turn written by way of relay, SQS, worker and DynamoDB."""
    token = stack.token("somebody")
    eventually(
        lambda: stack.ask("ワンピース", session=session, token=token),
        lambda reply: reply.status == 200 and reply.body["source"] == "precomputed",
    )
    eventually(
        lambda: stack.request("GET", f"/v1/sessions/{session}", token=token),
        lambda reply: reply.status == 200 and reply.body["turns"],
    )
