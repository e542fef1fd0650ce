"""What becomes of a dead letter: one thing, and only the job at fault is ever parked."""

import math
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from domain.dead_letters import (
    Fault,
    Leave,
    Letter,
    Park,
    Rules,
    SendAgain,
    comes_straight_back,
    decide,
    parked,
)
from domain.parking import MAX_HISTORY, MAX_LINE, Reason, parked_again

RULES = Rules(parts=10, max_replays=3, wait_seconds=30, wait_factor=4)
NOW = 1_800_000_000.0


def letter(*jobs: bytes, **others: Any) -> Letter:
    given = {
        "queue": "audit",
        "id": "m1",
        "receipt": "r",
        "kind": "audit.append",
        "parked_id": "p1",
        "receives": 5,
        "sent_at": NOW - 1000,
    }
    return Letter(jobs=jobs, **{**given, **others})


rules = st.builds(
    Rules,
    parts=st.integers(2, 10),
    max_replays=st.integers(0, 10),
    wait_seconds=st.integers(1, 600).map(float),
    wait_factor=st.integers(1, 10).map(float),
)
letters = st.builds(
    letter,
    *[st.binary(max_size=3)] * 3,
    replays=st.integers(0, 1000),
    replayed_at=st.floats(0, 2e9),
    failed_at=st.floats(0, 2e9),
    fault=st.none() | st.just(Fault(Reason.UNREADABLE, "is no object")),
) | st.builds(letter, st.binary(max_size=3), replays=st.integers(0, 1000))


@given(letters, rules, st.floats(0, 2e9))
def test_a_letter_is_left_or_parked_or_sent_whole(
    found: Letter, given_rules: Rules, now: float
) -> None:
    match decide(found, given_rules, now):
        case Leave(until):
            assert now < until
            assert len(found.jobs) == 1
        case Park(reason):
            assert found.fault is not None or found.replays >= given_rules.max_replays
            assert reason is (Reason.EXHAUSTED if found.fault is None else Reason.UNREADABLE)
        case SendAgain(parts, replays):
            assert [job for part in parts for job in part] == list(found.jobs)
            assert all(parts)
            assert len(parts) <= given_rules.parts
            assert replays <= given_rules.max_replays


@given(st.integers(1, 3000), st.data(), rules)
def test_poison_is_alone_after_few_rounds_and_nothing_else_is_parked(
    count: int, data: st.DataObject, given_rules: Rules
) -> None:
    jobs = [str(number).encode() for number in range(count)]
    poison = data.draw(st.sampled_from(jobs))
    dead, rounds, now, done = [letter(*jobs)], 0, NOW, set[bytes]()
    aside: list[bytes] = []
    while dead:
        (one,) = dead
        match decide(one, given_rules, now):
            case Leave(until):
                now = until
                continue
            case Park():
                aside += one.jobs
                dead = []
            case SendAgain(parts, replays):
                rounds += 1
                done |= {job for part in parts if poison not in part for job in part}
                dead = [
                    letter(*part, replays=replays, replayed_at=now)
                    for part in parts
                    if poison in part
                ]
    assert aside == [poison]
    assert done == set(jobs) - {poison}
    splits = math.ceil(round(math.log(count, given_rules.parts), 9))
    assert rounds <= splits + given_rules.max_replays


def test_each_replay_waits_longer_since_the_last_failure() -> None:
    for replays, wait in enumerate((30, 120, 480)):
        found = letter(b"a", replays=replays, replayed_at=NOW - 50, failed_at=NOW)
        assert decide(found, RULES, NOW + wait - 1) == Leave(NOW + wait)
        assert decide(found, RULES, NOW + wait) == SendAgain(((b"a",),), replays + 1)


def test_a_job_that_used_up_its_replays_is_parked_without_another_wait() -> None:
    found = letter(b"a", replays=3, replayed_at=NOW)
    assert decide(found, RULES, NOW) == Park(Reason.EXHAUSTED, "failed again after 3 replays")


def test_a_queue_rests_where_most_of_what_it_gives_was_sent_just_now() -> None:
    fresh, back = letter(b"a"), letter(b"b", replays=1, replayed_at=NOW - 1)
    assert comes_straight_back([back], RULES, NOW)
    assert comes_straight_back([back, back, fresh], RULES, NOW)
    assert not comes_straight_back([back, fresh], RULES, NOW)
    assert not comes_straight_back([back], RULES, NOW + 30)


def test_what_is_parked_shows_how_it_failed_last() -> None:
    found = letter(
        b"a", replays=3, replayed_at=NOW - 60, failed_at=NOW - 9, last_failure="kinesis: no"
    )
    shown = parked(found, Park(Reason.EXHAUSTED, "why"), NOW)
    assert (shown.reason, shown.detail, shown.replays) == (Reason.EXHAUSTED, "why", 3)
    assert [line.partition("Z ")[2] for line in shown.history] == [
        "sent",
        "sent again, replay 3",
        "kinesis: no",
        "parked from the dead letters: exhausted",
    ]


def test_what_failed_without_a_trace_says_so() -> None:
    shown = parked(letter(b"a"), Park(Reason.EXHAUSTED, "why"), NOW)
    assert any("no failure is on record" in line for line in shown.history)


def test_parking_again_keeps_the_first_time_and_the_newest_lines() -> None:
    first = parked(letter(b"a"), Park(Reason.PERMANENT, "no"), NOW)
    first = replace(first, history=tuple(f"line {at}" for at in range(MAX_HISTORY)))
    newer = replace(first, parked_at=NOW + 9, detail="still no", history=("x" * 2 * MAX_LINE,))
    both = parked_again(first, newer)
    assert (both.parked_at, both.detail) == (NOW, "still no")
    assert both.history == (*first.history[1:], "x" * MAX_LINE)
    assert parked_again(both, both) == both
