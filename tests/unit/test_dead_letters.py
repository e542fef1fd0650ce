"""An operator's work on dead letters: nothing is lost, whenever it is interrupted."""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from adapters import celery_envelope as envelope
from adapters.msgpack_wire import encode_pack
from adapters.sqs_dead_letters import DeadLetter
from domain.errors import Transient
from domain.jobs import PrecomputeAnswers
from workers import dead_letters
from workers.dead_letters import Choice, Retried

QUEUE = "precompute"


def body(jobs: int = 2) -> str:
    pack = encode_pack(
        [
            PrecomputeAnswers(
                event_id=f"id-{n}", producer="beat", seq=n, occurred_at=1.0, answer_kind="genre"
            )
            for n in range(jobs)
        ]
    )
    return envelope.build("answers.precompute", pack, message_id="m")


class Queues:
    """Dead letters and sources in memory; what is hidden is not received again."""

    def __init__(self, bodies: Sequence[str]) -> None:
        self.dead = {
            f"id{number}": DeadLetter(QUEUE, f"id{number}", f"r{number}", text, 6, 100.0 + number)
            for number, text in enumerate(bodies)
        }
        self.hidden: set[str] = set()
        self.source: list[str] = []
        self.refuse: set[str] = set()
        self.delete_fails = False

    def receive(self, queue: str, hide_seconds: int) -> list[DeadLetter]:
        if queue != QUEUE:
            return []
        shown = [one for one in self.dead.values() if one.id not in self.hidden][:3]
        self.hidden |= {one.id for one in shown}
        return shown

    def release(self, letters: Sequence[DeadLetter]) -> None:
        self.hidden -= {letter.id for letter in letters}

    def send_again(self, letters: Sequence[DeadLetter]) -> dict[str, str]:
        self.source += [letter.id for letter in letters if letter.id not in self.refuse]
        return {letter.id: "Throttled" for letter in letters if letter.id in self.refuse}

    def delete(self, letters: Sequence[DeadLetter]) -> dict[str, str]:
        if self.delete_fails:
            raise Transient("timed out")
        for letter in letters:
            del self.dead[letter.id]
            self.hidden.discard(letter.id)
        return {}


def run(queues: Queues, choice: Choice | None = None, *, dry_run: bool = False) -> Retried:
    steps = list(
        dead_letters.retry(
            queues, choice or Choice(queues=[QUEUE]), per_second=1e9, dry_run=dry_run
        )
    )
    return steps[-1] if steps else Retried()


def test_a_list_shows_every_letter_and_hides_none() -> None:
    queues = Queues([body(2), body(1), "not ours", body(3)])
    rows = dead_letters.rows(queues, ["sessions", QUEUE], limit=100)
    assert [(row.id, row.kind, row.jobs) for row in rows] == [
        ("id0", "answers.precompute", 2),
        ("id1", "answers.precompute", 1),
        ("id2", "unreadable", 0),
        ("id3", "answers.precompute", 3),
    ]
    assert queues.hidden == set()


def test_a_list_stops_at_its_limit_and_shows_again_what_it_hid() -> None:
    queues = Queues([body()] * 9)
    assert len(dead_letters.rows(queues, [QUEUE], limit=4)) == 4
    assert queues.hidden == set()


def test_a_letter_is_opened_by_its_id() -> None:
    queues = Queues([body(1), body(2)])
    found = dead_letters.detail(queues, [QUEUE], "id1")
    assert found is not None
    assert [job.event_id for job in found.jobs] == ["id-0", "id-1"]
    assert dead_letters.detail(queues, [QUEUE], "id9") is None
    assert queues.hidden == set()


def test_a_letter_that_can_not_be_read_says_why() -> None:
    found = dead_letters.detail(Queues(["{"]), [QUEUE], "id0")
    assert found is not None
    assert found.row.kind == "unreadable"
    assert "json" in found.row.reason


def test_a_retry_moves_every_letter_once() -> None:
    queues = Queues([body()] * 8)
    done = run(queues)
    assert sorted(queues.source) == sorted(done.sent) == [f"id{n}" for n in range(8)]
    assert queues.dead == {}


def test_a_retry_of_chosen_ids_leaves_the_others_and_shows_them_again() -> None:
    queues = Queues([body()] * 8)
    run(queues, Choice(queues=[QUEUE], ids=frozenset({"id2", "id7"})))
    assert queues.source == ["id2", "id7"]
    assert len(queues.dead) == 6
    assert queues.hidden == set()


def test_a_dry_run_changes_nothing() -> None:
    queues = Queues([body()] * 4)
    assert len(run(queues, dry_run=True).sent) == 4
    assert queues.source == []
    assert len(queues.dead) == 4
    assert queues.hidden == set()


def test_what_the_source_queue_does_not_take_stays_a_dead_letter() -> None:
    queues = Queues([body()] * 3)
    queues.refuse = {"id1"}
    assert run(queues).refused == {"id1": "Throttled"}
    assert set(queues.dead) == {"id1"}
    assert queues.hidden == set()


def test_what_no_worker_can_read_is_not_sent_again() -> None:
    queues = Queues([body(), "this was never a message", body()])
    done = run(queues)
    assert done.sent == ["id0", "id2"]
    assert list(done.refused) == ["id1"]
    assert "id1" in queues.dead
    assert queues.hidden == set()


@pytest.mark.timeout(60)
def test_copies_that_come_straight_back_are_left_alone() -> None:
    queues = Queues([body() for _ in range(5)])
    numbers = iter(range(100, 10_000))
    send = queues.send_again

    def send_and_fail(letters: Sequence[DeadLetter]) -> dict[str, str]:
        for letter in letters:
            copy = f"id{next(numbers)}"
            queues.dead[copy] = replace(letter, id=copy, sent_at=time.time())
        return send(letters)

    queues.send_again = send_and_fail  # type: ignore[method-assign]
    assert sorted(run(queues).sent) == [f"id{number}" for number in range(5)]
    assert len(queues.dead) == 5


def test_a_letter_that_was_sent_but_not_deleted_is_named() -> None:
    queues = Queues([body()])
    queues.delete_fails = True
    assert set(run(queues).left_in_both) == {"id0"}
    assert set(queues.dead) == {"id0"}


def test_a_retry_that_is_stopped_has_moved_whole_batches_and_hides_nothing() -> None:
    queues = Queues([body()] * 8)
    stop = threading.Event()
    for _ in dead_letters.retry(queues, Choice(queues=[QUEUE]), per_second=1e9, stop=stop):
        stop.set()
    assert len(queues.source) == 3
    assert set(queues.source).isdisjoint(queues.dead)
    assert queues.hidden == set()


@pytest.mark.parametrize("batches", [1, 2])
def test_a_retry_whose_caller_goes_away_hides_nothing(batches: int) -> None:
    queues = Queues([body()] * 8)
    running = dead_letters.retry(queues, Choice(queues=[QUEUE]), per_second=1e9)
    for _ in range(batches):
        next(running)
    running.close()
    assert len(queues.dead) + len(queues.source) == 8
    assert queues.hidden == set()
