"""The operator's commands against a running stack."""

import json
import re
from functools import partial
from pathlib import Path

import boto3
import pytest

from tests.system.running import Stack, eventually, run

KINDS = {"trending", "new_releases", "genre", "title", "fallback", "recommendation"}
NO_GENRE = "no genre or demographic has 5 titles to list"
POISON = "this was never a Celery message"


def test_the_version_is_printed() -> None:
    done = run("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("mangaassist ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("up", "--port", "many"),
        ("answers", "show"),
        ("answers", "list", "--data-dir", "/nowhere/at/all"),
        ("worker", "no-such-group"),
        ("import", "/no/such/file.jsonl"),
    ],
)
def test_an_error_is_one_line_on_stderr(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1


def test_the_doctor_finds_everything_well(stack: Stack) -> None:
    findings = json.loads(stack.cli("doctor", "--json"))
    assert [row for row in findings if row["state"] == "fail"] == []
    names = {row["what"] for row in findings}
    assert {"redis", "catalogue", "serving", "relay", "beat", "queue sessions"} <= names


def test_the_doctor_of_a_stopped_deployment_says_what_fails(tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:1"
    done = run(
        "doctor",
        "--json",
        MANGAASSIST_REDIS_URL="redis://127.0.0.1:1/0",
        MANGAASSIST_PORT="1",
        AWS_ENDPOINT_URL=nowhere,
        AWS_REGION="ap-northeast-1",
        AWS_ACCESS_KEY_ID="x",
        AWS_SECRET_ACCESS_KEY="x",  # noqa: S106
    )
    assert done.returncode == 1
    failed = {row["what"] for row in json.loads(done.stdout) if row["state"] == "fail"}
    assert {"redis", "catalogue", "serving"} <= failed


def test_every_kind_is_listed_and_each_of_its_keys_can_be_shown(stack: Stack) -> None:
    sets = {row["kind"]: row for row in json.loads(stack.cli("answers", "list", "--json"))}
    assert set(sets) == KINDS
    for row in sets.values():
        assert row["keys"]
        shown = json.loads(stack.cli("answers", "show", row["keys"][0], "--json"))
        assert shown["answer"]["kind"] == row["kind"]
    assert "trending:manga:top10:en" in stack.cli("answers", "show", "trending:manga:top10:en")


def test_a_refreshed_kind_can_be_rolled_back_and_refreshed_again(stack: Stack) -> None:
    first, _ = _version_and_state(stack, "genre")
    stack.cli("answers", "refresh", "genre")
    second, _ = _version_and_state(stack, "genre")
    assert second > first
    # Where the schedule's set is published between the look and the command, that one is left.
    eventually(partial(_is_rolled_back, stack), bool)
    stack.cli("answers", "refresh", "genre")
    # The hold ends just behind the publication that the command waits for.
    third, _ = eventually(
        lambda: _version_and_state(stack, "genre"), lambda found: found[1] == "fresh"
    )
    assert third > second


def _is_rolled_back(stack: Stack) -> bool:
    """Whether the version before a new one is served, and held."""
    stack.cli("answers", "refresh", "genre")
    newest, _ = _version_and_state(stack, "genre")
    stack.cli("answers", "rollback", "genre")
    served, state = _version_and_state(stack, "genre")
    assert state == "held"
    return served < newest


def test_a_dead_letter_that_nobody_can_read_is_shown_and_not_sent_round(stack: Stack) -> None:
    sqs = boto3.client("sqs", **stack.aws("sqs"))
    url = sqs.get_queue_url(QueueName="mangaassist-audit-dlq")["QueueUrl"]
    message_id = sqs.send_message(QueueUrl=url, MessageBody=POISON)["MessageId"]
    # The scheduled retry may park it at any time, under another id.
    eventually(partial(_is_shown, stack), bool)
    for arguments in ([], ["--dry-run"]):
        eventually(partial(_is_refused, stack, message_id, *arguments), bool)
    eventually(partial(_unreadable, stack), bool)
    missing = run("dlq", "show", "no-such-id", "--data-dir", stack.data_dir)
    assert missing.returncode == 2
    sqs.purge_queue(QueueUrl=url)
    sqs.close()


def _is_shown(stack: Stack) -> bool:
    found = _unreadable(stack)
    if len(found) != 1:  # it is on its way from the one to the other
        return False
    (one,) = found
    done = run("dlq", "show", one, "--json", "--data-dir", stack.data_dir)
    return done.returncode == 0 and bool(json.loads(done.stdout)["reason"])


def _is_refused(stack: Stack, message_id: str, *arguments: str) -> bool:
    done = run("dlq", "retry", "--queue", "audit", *arguments, "--data-dir", stack.data_dir)
    known = {message_id} | _unreadable(stack)
    return done.returncode == 1 and any(one in done.stderr for one in known)


def _unreadable(stack: Stack) -> set[str]:
    rows = json.loads(stack.cli("dlq", "list", "--queue", "audit", "--json"))
    return {row["id"] for row in rows if row["kind"] == "unreadable"}


def test_a_question_on_the_command_line_is_answered(stack: Stack) -> None:
    said = stack.cli("ask", "ワンピース", "--user", "reader")
    assert "ONE PIECE" in said
    body = json.loads(stack.cli("ask", "what's popular", "--json"))
    assert body["answer"]["kind"] == "trending"


def test_answers_that_a_new_catalogue_has_no_titles_for_are_withdrawn(
    lone_stack: Stack, tmp_path: Path
) -> None:
    file = tmp_path / "one.jsonl"
    file.write_text('{"id": "my-1", "title": "The Only Manga There Is"}\n')
    said = lone_stack.cli("import", str(file))
    assert "1 row: 1 title, 0 bad rows left out; the catalogue has 1 title" in said
    withdrawn = re.search(rf"genre: {NO_GENRE}, (\d+) withdrawn", said)
    assert withdrawn is not None
    assert int(withdrawn[1]) > 0
    found = _set(lone_stack, "genre")
    assert (found["answers"], found["state"], found["keys"]) == (0, "none", [])
    # Where Redis is late on a busy machine, what was there before is answered once more.
    eventually(
        lambda: lone_stack.ask("show me shonen").body["answer"]["kind"],
        lambda kind: kind != "genre",
    )
    doctor = {row["what"]: row for row in json.loads(lone_stack.cli("doctor", "--json"))}
    assert doctor["answers genre"]["state"] == "ok"
    assert doctor["answers genre"]["detail"].startswith(f"none: {NO_GENRE}")
    assert doctor["catalogue"]["detail"].startswith("1 title,")


def test_a_file_that_is_mostly_bad_is_refused(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "catalogue.jsonl"
    file.write_text('{"id": "1", "title": "A"}\nnonsense\n')
    done = run("import", file, "--data-dir", stack.data_dir)
    assert done.returncode == 2
    assert "line 2" in done.stderr
    _tells_of_a_title(stack)


def _tells_of_a_title(stack: Stack) -> None:
    eventually(lambda: stack.ask("ワンピース").body["answer"]["kind"], lambda kind: kind == "title")


def _version_and_state(stack: Stack, kind: str) -> tuple[int, str]:
    found = _set(stack, kind)
    return int(str(found["version"])), str(found["state"])


def _set(stack: Stack, kind: str) -> dict[str, object]:
    rows = json.loads(stack.cli("answers", "list", "--json"))
    found: dict[str, object] = next(row for row in rows if row["kind"] == kind)
    return found
