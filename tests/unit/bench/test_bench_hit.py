"""What the hit benchmark serves, how it takes turns, and what it makes of its samples."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from bench import hit, hit_tables, ours, servers, stored
from bench.hit_tables import Sample
from bench.sink import create
from domain.answers import AnswerKey, StoredAnswer
from tests.unit.bench.measured import MACHINE

if TYPE_CHECKING:
    from bench.servers import Server

SAMPLE = Sample("", 16, 1.0, 1.0, 1.0, 0.001, 0.002)


def sample(server: str, number: int, per_second: float, cpu_us: float) -> Sample:
    return replace(
        SAMPLE, server=server, round=number, requests_per_second=per_second, cpu_us=cpu_us
    )


@pytest.mark.parametrize("asked", stored.MIX)
def test_every_stored_answer_is_json_of_the_common_size(asked: stored.Asked) -> None:
    answer = stored.answer(asked.key)
    assert len(answer.body) == stored.BODY_BYTES
    assert json.loads(stored.whole(answer))["answer"]["kind"] == asked.key.kind
    assert StoredAnswer.unpack(answer.pack()) == answer


def test_no_two_questions_of_the_varied_mix_are_alike() -> None:
    varied = stored.varied(ours.WORDINGS)
    assert len({asked.message for asked in varied}) == len(varied) == ours.WORDINGS
    assert list(varied[: len(stored.MIX)]) == list(stored.MIX)
    assert max(len(asked.message) for asked in varied) < 40


def test_another_server_begins_each_round() -> None:
    found = cast("list[Server]", ["a", "b", "c"])
    firsts = [str(hit.turned(found, number)[0]) for number in range(4)]
    assert firsts == ["a", "b", "c", "a"]


def test_ratios_are_taken_within_a_round() -> None:
    samples = [
        sample("ours", 0, 40.0, 1.0),
        sample("base", 0, 10.0, 1.0),
        sample("ours", 1, 4.0, 1.0),
        sample("base", 1, 1.0, 1.0),
    ]
    assert hit_tables.paired(samples, "ours", "base", 16, "requests_per_second") == 4.0


def test_a_ratio_to_what_was_not_measured_is_none() -> None:
    samples = [sample("ours", 0, 40.0, 1.0)]
    assert hit_tables.paired(samples, "ours", "base", 16, "requests_per_second") is None


def test_targets_are_claimed_for_what_was_measured_only() -> None:
    samples = [sample(servers.OURS, 0, 35.0, 30.0), sample(servers.FASTAPI, 0, 10.0, 200.0)]
    claims = hit_tables.summarise(samples, MACHINE, []).claims
    assert [(claim.measured, claim.holds) for claim in claims] == [(3.5, True)]


def test_a_disturbed_round_is_reported() -> None:
    samples = [replace(SAMPLE, server=servers.OURS, neighbours=0.5)]
    assert "1 of 1 samples were disturbed" in hit_tables.summarise(samples, MACHINE, []).notes[0]


def test_a_baseline_must_send_the_stored_bytes() -> None:
    check = servers.serves(b"{}")
    assert check(b"HTTP/1.1 200 OK", b"{}") is None
    assert check(b"HTTP/1.1 200 OK", b"[]") is not None
    assert check(b"HTTP/1.1 502 Bad Gateway", b"{}") is not None


def test_our_answer_must_be_the_one_to_the_question(tmp_path: Path) -> None:
    identity = ours.new_identity(tmp_path)
    answers = {asked.key: stored.answer(asked.key) for asked in stored.MIX}
    exchange = ours.exchanges(identity, answers, stored.MIX)[0]
    event_id = b"0" * 36
    head = b"HTTP/1.1 200 OK\r\nx-event-id: " + event_id
    tail = b',"source":"precomputed","age_seconds":0.1,"event_id":"' + event_id + b'"}'
    right = answers[stored.MIX[0].key].body
    wrong = answers[AnswerKey("new_releases", "", "ja")].body
    assert exchange.check(head, right + tail) is None
    assert exchange.check(head, wrong + tail) is not None
    assert exchange.check(head, right + tail.replace(b"precomputed", b"stale")) is not None
    assert exchange.check(b"HTTP/1.1 200 OK", right + tail) is not None


def test_a_sink_counts_applications_and_doubles(tmp_path: Path) -> None:
    sink = create(tmp_path / "sink", 3)
    sink.apply(0)
    sink.apply(2)
    sink.apply(2)
    assert sink.applied() == 2
    assert sink.twice() == 1
