"""`mangaassist dlq` over real dead letters and parked jobs, from the command line."""

import json
import stat
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.aws_clients import AwsClients
from adapters.celery_envelope import build
from adapters.connection import connect
from adapters.msgpack_wire import encode_pack
from adapters.prometheus_metrics import Metrics
from adapters.sqs_queues import SqsQueues
from cli.main import main
from config.settings import Settings
from domain.jobs import UpdateSession
from domain.parking import id_of_job
from domain.ports import Ports
from tests.samples import session_update
from workers.setting_aside import Delivery, parked_job

QUEUE, DEAD = "mangaassist-sessions", "mangaassist-sessions-dlq"


class Command:
    """The command line of this process: a fresh one for each would take a second longer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """What it prints, to stderr where it fails."""
        self._monkeypatch.setattr("sys.argv", ["mangaassist", "dlq", *arguments])
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main()
        printed = self._capsys.readouterr()
        assert exit_.value.code == code, printed.err
        return printed.err if code else printed.out

    def parsed(self, *arguments: str) -> Any:
        """The JSON that it prints."""
        return json.loads(self(*arguments, "--json"))


@pytest.fixture
def dlq(
    aws: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    return Command(monkeypatch, capsys)


def job(event_id: str) -> UpdateSession:
    return replace(session_update(event_id, "s1", "hana", time.time()), question="what she asked")


@pytest.fixture
def ports(aws: object, valkey: object, valkey_url: str) -> Ports:
    return connect(Settings(redis_url=valkey_url), Metrics())


@pytest.fixture
def queues(aws: object) -> SqsQueues:
    return SqsQueues(AwsClients())


@pytest.fixture
def parked_id(ports: Ports) -> str:
    delivery = Delivery("session.update", "m1", "sessions", 1)
    ports.parking.park([parked_job(job("parked"), "the rule says no", delivery, time.time())])
    return id_of_job(job("parked"))


@pytest.fixture
def letter_id(dlq: Command, queues: SqsQueues) -> str:
    pack = encode_pack([job("dead-1"), job("dead-2")])
    queues.send_batch(DEAD, [build("session.update", pack, message_id="m2"), "no job of ours"])
    rows = dlq.parsed("list", "--queue", "sessions")
    return next(str(row["id"]) for row in rows if row["jobs"] == 2)


def test_both_are_listed_shown_and_sent_again(
    dlq: Command, queues: SqsQueues, ports: Ports, parked_id: str, letter_id: str
) -> None:
    rows = {row["id"]: row for row in dlq.parsed("list")}
    assert {rows[parked_id]["state"], rows[letter_id]["state"]} == {"parked", "dead"}
    assert (rows[parked_id]["reason"], rows[letter_id]["jobs"]) == ("permanent", 2)
    shown = dlq.parsed("show", parked_id)
    assert shown["detail"] == "the rule says no"
    assert shown["contents"][0]["question"] == "what she asked"
    assert "what she asked" in dlq("show", letter_id)
    (unreadable,) = [row for one, row in rows.items() if one not in {parked_id, letter_id}]
    assert unreadable["reason"] == dlq.parsed("show", unreadable["id"])["reason"] != ""
    one_by_one = ["retry", parked_id, "--queue", "sessions", "--id", letter_id]
    assert dlq.parsed(*one_by_one, "--dry-run")["sent"] == [letter_id, parked_id]
    assert queues.depth(QUEUE).visible == 0
    assert "sent again: 2" in dlq(*one_by_one)
    assert queues.depth(QUEUE).visible == 2
    assert ports.parking.count() == 0
    assert parked_id in dlq(*one_by_one, code=1), "it says what was not found"
    assert queues.depth(QUEUE).visible == 2


def test_where_nothing_has_failed_the_list_says_so(dlq: Command) -> None:
    assert dlq("list", "--queue", "audit") == "nothing is dead or parked\n"
    assert dlq.parsed("list", "--queue", "audit") == []


def test_a_letter_is_parked_with_the_reason_that_was_given(
    dlq: Command, queues: SqsQueues, ports: Ports, letter_id: str
) -> None:
    dlq("park", letter_id, code=2)
    assert dlq.parsed("park", letter_id, "--why", "ask Hana", "--dry-run")["parked"] == []
    assert ports.parking.count() == 0
    parked = dlq.parsed("park", letter_id, "--why", "ask Hana")["parked"]
    assert parked == [id_of_job(job("dead-1")), id_of_job(job("dead-2"))]
    assert {one.detail for one in ports.parking.each()} == {"ask Hana"}
    assert queues.depth(DEAD).visible == 1
    assert "parked already" in dlq("park", parked[0], "--why", "again", code=2)
    assert "no dead-letter queue" in dlq("park", letter_id, "--why", "again", code=2)


@pytest.mark.usefixtures("parked_id", "letter_id")
def test_everything_is_exported_for_its_owner_alone_and_nothing_is_overwritten(
    dlq: Command, queues: SqsQueues, ports: Ports, tmp_path: Path
) -> None:
    file = tmp_path / "letters.jsonl"
    export = ["export", str(file), "--queue", "sessions"]
    assert dlq.parsed(*export)["exported"] == 3
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    events = [one["event_id"] for row in rows for one in row["contents"]]
    assert sorted(events) == ["dead-1", "dead-2", "parked"]
    assert [row["body"] for row in rows if row["reason"] and row["state"] == "dead"] == [
        "no job of ours"
    ]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_text()
    assert "--force" in dlq(*export, code=2)
    assert file.read_text() == before
    assert dlq.parsed(*export, "--force", "--redact")["redacted"]
    assert "what she asked" not in file.read_text()
    assert len(file.read_text().splitlines()) == 3
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert queues.depth(DEAD).visible == 2
    assert ports.parking.count() == 1
    dlq("export", str(tmp_path / "no" / "where"), code=2)
