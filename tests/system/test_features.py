"""Features from a file through the store to the merged items, by the commands of an operator."""

import gzip
import json
import re
import signal
import subprocess
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import count
from operator import eq
from pathlib import Path
from typing import Any

import boto3
import pytest
import redis

from tests.system.running import COMMAND, Stack, eventually, run

AGO = time.time() - 3600
_runs = count()


@pytest.fixture
def prefix() -> str:
    return f"feature-user-{next(_runs)}-"


def row(user_id: str, at: float = AGO, **features: object) -> dict[str, object]:
    return {
        "user_id": user_id,
        "group": "user-profile",
        "event_time": round(at, 3),
        "features": features or {"locale": "ja"},
    }


def write(path: Path, rows: Sequence[object]) -> Path:
    lines = [it if isinstance(it, str) else json.dumps(it, ensure_ascii=False) for it in rows]
    data = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def item(stack: Stack, user_id: str) -> dict[str, Any] | None:
    client = boto3.client("dynamodb", **stack.aws("dynamodb"))
    found = client.get_item(TableName="mangaassist-users", Key={"user_id": {"S": user_id}})
    client.close()
    return found.get("Item")


def values(stack: Stack, user_id: str, group: str = "user-profile") -> Any:
    found = item(stack, user_id)
    stored = found.get(f"group:{group}") if found else None
    return json.loads(stored["M"]["values"]["S"]) if stored else None


def test_what_is_loaded_is_merged_by_the_workers(stack: Stack, tmp_path: Path, prefix: str) -> None:
    activity = {**row(f"{prefix}1", views_7d=3), "group": "user-activity"}
    rows = [row(f"{prefix}{at}") for at in range(30)]
    file = write(tmp_path / "features.jsonl.gz", [*rows, activity])
    assert json.loads(stack.cli("features", "load", file, "--json")) == {"sent": 31, "bad": 0}
    eventually(lambda: values(stack, f"{prefix}1", "user-activity"), partial(eq, {"views_7d": "3"}))
    eventually(lambda: all(values(stack, f"{prefix}{at}") for at in range(30)), bool)
    assert values(stack, f"{prefix}1") == {"locale": "ja"}


def test_who_was_here_lately_has_new_features_in_redis(
    stack: Stack, tmp_path: Path, prefix: str
) -> None:
    event = {
        "event_id": str(uuid.uuid4()),
        "type": "view",
        "item_id": "toriko",
        "user_id": prefix,
        "occurred_at": datetime.now(UTC).isoformat(),
    }
    reply = stack.request("POST", "/v1/events", {"events": [event]}, stack.token(prefix))
    assert reply.body["accepted"] == 1
    with redis.Redis.from_url(stack.endpoints()["redis"]) as client:
        eventually(lambda: client.zrange(f"interactions:{prefix}", 0, -1), partial(eq, [b"toriko"]))
        assert client.get(f"features:{prefix}") is None
        stack.cli("features", "load", write(tmp_path / "rows.jsonl", [row(prefix)]))
        copy = json.loads(eventually(lambda: client.get(f"features:{prefix}"), bool))
    assert copy["user_id"] == prefix
    assert copy["groups"]["user-profile"]["values"] == {"locale": "ja"}


def test_bad_rows_are_named_and_the_others_loaded(
    stack: Stack, tmp_path: Path, prefix: str
) -> None:
    good = [row(prefix)] * 39
    file = write(tmp_path / "rows.jsonl", ["{", *good, row(prefix, colour="red")])
    done = run("features", "load", file, "--data-dir", stack.data_dir)
    assert done.returncode == 0, done.stderr
    assert "39 records sent, 2 bad rows left out" in done.stdout
    assert "rows.jsonl: line 1: not JSON" in done.stderr
    assert "rows.jsonl: line 41: the group has no such feature" in done.stderr
    eventually(lambda: values(stack, prefix), partial(eq, {"locale": "ja"}))


def test_of_a_file_that_is_mostly_bad_nothing_is_written(
    stack: Stack, tmp_path: Path, prefix: str
) -> None:
    file = write(tmp_path / "rows.jsonl", [row(prefix), "{"])
    done = run("features", "load", file, "--data-dir", stack.data_dir)
    assert done.returncode == 2
    assert "rows.jsonl: line 2: not JSON" in done.stderr
    assert "1 of 2 rows are bad, more than 5%" in done.stderr
    sync = json.loads(stack.cli("features", "sync", "--user", prefix, "--json"))
    assert sync["merged"] == 0


def test_a_user_is_synced_on_demand(stack: Stack, tmp_path: Path, prefix: str) -> None:
    file = write(tmp_path / "rows.jsonl", [row(prefix, locale="en")])
    stack.cli("features", "load", file, "--no-sync")
    found = json.loads(stack.cli("features", "sync", "--user", prefix, "--json"))
    assert (found["users"], found["failed"], found["quarantined"]) == (1, 0, 0)
    assert sum(found["records"].values()) == 1
    assert values(stack, prefix) == {"locale": "en"}


def test_everybody_is_synced_and_in_step(stack: Stack, tmp_path: Path, prefix: str) -> None:
    file = write(tmp_path / "rows.jsonl", [row(f"{prefix}{at}") for at in range(250)])
    stack.cli("features", "load", file, "--no-sync")
    found = json.loads(stack.cli("features", "sync", "--all", "--json"))
    assert found["users"] >= 250
    assert found["failed"] == 0
    assert all(values(stack, f"{prefix}{at}") == {"locale": "ja"} for at in range(0, 250, 50))
    checked = json.loads(stack.cli("features", "check", "--json", "--users", "500"))
    assert checked["users"] >= 250
    assert (checked["held"], checked["failed"], checked["unread"]) == (0, 0, 0)


def test_a_load_that_was_interrupted_is_gone_on_with(
    stack: Stack, tmp_path: Path, prefix: str
) -> None:
    file = write(tmp_path / "many.jsonl", [row(f"{prefix}{at}") for at in range(2500)])
    arguments = ["features", "load", str(file), "--no-sync", "--data-dir", str(stack.data_dir)]
    bookmark = stack.data_dir / "state" / "features-load.bookmark"
    process = subprocess.Popen(
        [COMMAND, *arguments, "--rate", "5"], stderr=subprocess.PIPE, text=True
    )
    eventually(bookmark.exists, bool)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "the same command goes on from there" in errors
    done = run(*arguments, "--json")
    assert done.returncode == 0
    begun = re.search(r"going on behind line (\d+)", done.stderr)
    assert begun is not None
    assert json.loads(done.stdout)["sent"] == 2500 - int(begun[1])
    assert not bookmark.exists()


def test_what_is_deleted_is_erased_by_the_workers(
    stack: Stack, tmp_path: Path, prefix: str
) -> None:
    stack.cli("features", "load", write(tmp_path / "rows.jsonl", [row(prefix)]))
    eventually(lambda: values(stack, prefix), partial(eq, {"locale": "ja"}))
    said = stack.cli("features", "delete", prefix, "--group", "user-profile")
    assert said.startswith("1 record deleted; ")
    said = stack.cli("features", "delete", f"{prefix}-nobody")
    assert said.startswith("there was no record; ")
    eventually(lambda: values(stack, prefix), partial(eq, {}))
    found = item(stack, prefix)
    assert found is not None
    assert found["group:user-profile"]["M"]["deleted"] == {"BOOL": True}
    assert "group:user-activity" not in found


@pytest.mark.parametrize(
    "arguments",
    [
        ("sync",),
        ("sync", "--all", "--user", "x"),
        ("load", "/no/such/file"),
        ("check", "--users", "0"),
        ("delete", "x", "--group", "strangers"),
    ],
)
def test_what_cannot_be_done_is_one_line(arguments: tuple[str, ...]) -> None:
    done = run("features", *arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
