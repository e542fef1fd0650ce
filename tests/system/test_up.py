"""`mangaassist up`: what it promises while it runs, and when it can't."""

import re
import signal
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.system.running import (
    TRENDING,
    Stack,
    assert_one_line,
    call,
    eventually,
    listening_addresses,
    processes_of,
    run,
    running,
)

GROUPS = ("interactive", "streams", "precompute")
WORKERS = {f"worker-{group}" for group in GROUPS}
AWS = {
    "sqs",
    "dynamodb",
    "kinesis",
    "logs",
    "sagemaker-featurestore-runtime",
    "sagemaker-runtime",
    "bedrock-runtime",
    "cloudwatch",
    "ec2",
}
CHILDREN = {"serving", "relay", "beat", "redis", "aws-sqs", "aws-moto", "model", *WORKERS}


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        (TRENDING, "trending"),
        ("今週の人気", "trending"),
        ("new releases", "new_releases"),
        ("少年漫画おすすめ", "genre"),
        ("ワンピース 最新刊", "title"),
    ],
)
def test_a_question_is_answered_from_what_a_worker_precomputed(
    stack: Stack, question: str, kind: str
) -> None:
    reply = stack.asked_until("precomputed", question)
    assert reply.body["answer"]["kind"] == kind
    assert reply.body["answer"]["items"]


def test_the_endpoints_file_says_what_runs_where(stack: Stack) -> None:
    found = stack.endpoints()
    assert set(found) == {"http", "redis", "aws", "metrics", "pids"}
    assert set(found["aws"]) == AWS
    assert set(found["metrics"]) == {"serving", "relay", "beat", *WORKERS}
    assert set(found["pids"]) == CHILDREN
    assert found["redis"].endswith("/0")
    assert isinstance(found["pids"]["serving"], list)
    for url in found["metrics"].values():
        assert call("GET", url).status == 200, url


def test_every_child_listens_on_this_machine_alone(stack: Stack) -> None:
    addresses = listening_addresses([stack.process.pid, *stack.members()])
    assert len(addresses) >= len(CHILDREN)
    assert {host for host, _ in addresses} == {"127.0.0.1"}


def test_a_turn_reaches_the_session_of_its_user_alone(stack: Stack) -> None:
    alice, bob = stack.token("alice"), stack.token("bob")
    assert stack.ask(TRENDING, session="of-alice", token=alice, message_id="m1").status == 200
    reply = eventually(
        lambda: stack.request("GET", "/v1/sessions/of-alice", token=alice),
        lambda found: found.status == 200 and found.body["turns"],
    )
    assert [turn["question"] for turn in reply.body["turns"]] == [TRENDING]

    def bobs() -> int:
        found = stack.request("GET", "/v1/sessions/of-alice", token=bob)
        assert not found.body.get("turns")
        return found.status

    # Where the stores are late nobody is told of any turns, with 200.
    eventually(bobs, {403, 404}.__contains__)


def test_a_token_has_the_scope_that_was_asked_for(stack: Stack) -> None:
    event = {
        "event_id": "0c7cbb4e-6a3a-4c50-9f0c-3f5f27f0a001",
        "type": "view",
        "item_id": "any",
        "user_id": "somebody-else",
        "occurred_at": datetime.now(UTC).isoformat(),
    }
    shop = stack.token("shop", "events:write")
    accepted = stack.request("POST", "/v1/events", {"events": [event]}, shop)
    assert (accepted.status, accepted.body["accepted"]) == (202, 1)
    refused = stack.request("POST", "/v1/events", {"events": [event]}, stack.token("customer"))
    assert refused.status == 403 or refused.body["accepted"] == 0


def test_a_second_stack_in_the_same_directory_is_refused(stack: Stack) -> None:
    done = run("up", "--port", "0", "--data-dir", stack.data_dir)
    assert_one_line(done.returncode, done.stderr, "already running")
    assert stack.ask(TRENDING).status == 200


def test_a_port_in_use_is_said_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("up", "--port", port, "--data-dir", tmp_path / "data")
    assert_one_line(done.returncode, done.stderr, port)
    assert_nothing_ran(tmp_path / "data")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("", "no rows"),
        ('{"id": "1", "title": "A"}\nnonsense\n', "line 2"),
        ('{"id": "1", "title": "A"}\n' * 2, "line 2"),
    ],
)
def test_a_bad_row_is_said_before_anything_starts(tmp_path: Path, rows: str, said: str) -> None:
    file = tmp_path / "catalogue.jsonl"
    file.write_text(rows)
    done = run("up", "--port", "0", "--data-dir", tmp_path / "data", "--catalogue", file)
    assert_one_line(done.returncode, done.stderr, said)
    assert_nothing_ran(tmp_path / "data")


def test_a_catalogue_that_is_not_there_is_said(tmp_path: Path) -> None:
    done = run("up", "--port", "0", "--data-dir", tmp_path, "--catalogue", tmp_path / "no.jsonl")
    assert_one_line(done.returncode, done.stderr, "no.jsonl")


def test_a_data_directory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run("up", "--port", "0", "--data-dir", tmp_path / "file" / "data")
    assert_one_line(done.returncode, done.stderr, "cannot be written")


def test_a_misspelt_setting_is_said_before_anything_starts(tmp_path: Path) -> None:
    done = run("up", "--port", "0", "--data-dir", tmp_path, MANGAASSIST_TODAI="2026-01-01")
    assert_one_line(done.returncode, done.stderr, "MANGAASSIST_TODAI")
    assert_nothing_ran(tmp_path)


def test_a_redis_that_is_not_there_is_said(tmp_path: Path) -> None:
    url = "redis://127.0.0.1:1/0"
    done = run("up", "--port", "0", "--data-dir", tmp_path, MANGAASSIST_REDIS_URL=url)
    assert_one_line(done.returncode, done.stderr, "MANGAASSIST_REDIS_URL")


def test_no_log_of_a_run_in_which_nothing_fails_complains(tmp_path: Path) -> None:
    with running(tmp_path) as stack:
        stack.until_ready()
        stack.cli("doctor")
        assert stack.stop() == 0
    assert _complaints(tmp_path / "logs") == []


def _complaints(logs: Path) -> list[str]:
    """What no log may hold where nothing has failed, however slow the machine is."""
    return [
        f"{log.name}: {line}"
        for log in logs.glob("*.log")
        for line in log.read_text().splitlines()
        if re.search(r"Traceback|NonExistent|NotFound|damaged", line)
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_stack_that_is_not_ready_yet(
    tmp_path: Path, number: signal.Signals
) -> None:
    with running(tmp_path) as stack:
        eventually((tmp_path / "endpoints.json").exists, bool)
        assert stack.stop(number) == 0
        assert processes_of(tmp_path) == []


def assert_nothing_ran(data_dir: Path) -> None:
    assert not list(data_dir.glob("logs/*"))
    assert processes_of(data_dir) == []
