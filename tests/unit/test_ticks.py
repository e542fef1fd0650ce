"""Beat's ticks: each period once, whoever sends it, and never skipped by a failed send."""

from dataclasses import fields

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import schedules
from config.errors import ConfigError
from config.schedules import Schedule
from domain.jobs import JOB_TYPES, PrecomputeAnswers
from workers.ticks import Tick, TickBook, event_id, job_of, tick_at

EVERY_MINUTE = Schedule(
    job="answers.precompute",
    every_seconds=60,
    jitter_seconds=10,
    arguments={"answer_kind": "trending"},
)


def book(**rows: Schedule) -> TickBook:
    return TickBook(rows, jitter=lambda _low, high: high)


def test_the_period_under_way_is_due_at_the_start_without_delay() -> None:
    subject = book(trending=EVERY_MINUTE)
    (tick,) = subject.due(125.0)
    assert tick == Tick("trending", 2)
    assert subject.delay_seconds(tick) == 0


def test_a_later_tick_is_spread_by_the_jitter() -> None:
    subject = book(trending=EVERY_MINUTE)
    subject.sent(Tick("trending", 2))
    (tick,) = subject.due(180.0)
    assert subject.delay_seconds(tick) == 10


def test_a_sent_tick_is_not_due_again_in_its_period() -> None:
    subject = book(trending=EVERY_MINUTE)
    subject.sent(Tick("trending", 2))
    assert subject.due(179.9) == []
    assert subject.next_at(125.0) == 180.0


def test_a_failed_tick_is_due_again_soon_in_the_same_period() -> None:
    subject = book(trending=EVERY_MINUTE)
    tick = Tick("trending", 2)
    subject.failed(tick, 125.0)
    assert subject.due(125.0) == []
    again = subject.next_at(125.0)
    assert 125.0 < again < 180.0
    assert subject.due(again) == [tick]


@given(st.lists(st.floats(min_value=0.1, max_value=500), min_size=1, max_size=50))
def test_failures_never_put_a_tick_off_for_longer_than_the_cap(pauses: list[float]) -> None:
    subject = book(trending=EVERY_MINUTE)
    now = 0.0
    for pause in pauses:
        now += pause
        for tick in subject.due(now):
            subject.failed(tick, now)
        assert subject.next_at(now) <= now + 15.0 + 1e-6


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_after_a_jump_of_the_clock_the_period_under_way_is_due_whatever_failed_before(
    jump: float,
) -> None:
    subject = book(trending=EVERY_MINUTE)
    subject.failed(Tick("trending", 1000), 60_000.0)
    assert subject.due(60_000.0) == []
    assert subject.next_at(60_000.0 + jump) == 60_000.0 + jump
    assert subject.due(60_000.0 + jump) == [Tick("trending", 1000 + int(jump / 60))]


def test_two_beats_name_a_tick_alike_and_no_two_ticks_alike() -> None:
    assert event_id(Tick("a", 1)) == event_id(Tick("a", 1))
    assert len({event_id(Tick(name, number)) for name in "ab" for number in range(9)}) == 18


def test_the_job_carries_the_start_of_its_period() -> None:
    job = job_of(Tick("trending", 7), EVERY_MINUTE, 423.0)
    assert isinstance(job, PrecomputeAnswers)
    assert (job.tick, job.answer_kind, job.producer) == (420, "trending", "beat")


def test_a_longer_period_does_not_make_the_next_tick_look_done() -> None:
    now = 100_000.0
    longer = msgspec.structs.replace(EVERY_MINUTE, every_seconds=600)
    before = job_of(Tick("trending", tick_at(EVERY_MINUTE, now)), EVERY_MINUTE, now)
    after = job_of(Tick("trending", tick_at(longer, now + 600)), longer, now + 600)
    assert isinstance(before, PrecomputeAnswers)
    assert isinstance(after, PrecomputeAnswers)
    assert before.tick is not None
    assert after.tick is not None
    assert after.tick > before.tick


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"job": "answers.compute"}, "no job 'answers.compute'"),
        ({"arguments": {"kind": "trending"}}, "has no kind"),
        ({"arguments": {"answer_kind": 3}}, "answer_kind"),
        ({"arguments": {}}, "answer_kind"),
    ],
)
def test_a_schedule_that_fits_no_job_is_named(change: dict[str, object], said: str) -> None:
    row = Schedule(
        **{"job": "answers.precompute", "every_seconds": 60, "jitter_seconds": 0, **change}  # type: ignore[arg-type]
    )
    with pytest.raises(ConfigError, match=said):
        job_of(Tick("bad", 1), row, 60.0)


@pytest.mark.parametrize("name", sorted(schedules.declared().schedules))
def test_every_declared_schedule_makes_its_job(name: str) -> None:
    job = job_of(Tick(name, 1), schedules.declared().schedules[name], 1.0)
    assert type(job) in JOB_TYPES
    assert any(field.name == "tick" for field in fields(job))
