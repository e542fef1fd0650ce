"""What the event benchmark sends, and what it makes of its samples."""

from dataclasses import replace

import pytest

from bench import events, numbered, paced
from bench.consumers import CONSUMERS, OURS, STOCK_BEST, STOCK_PREFORK
from bench.drain import MEMORY, Sample
from bench.stack import call_counts
from domain.reactions import react
from tests.unit.bench.measured import MACHINE

SAMPLE = Sample(OURS, MEMORY, 1000, 9000.0, 10.0, 0.002, 0, 0.0)
FLOW = paced.Flow(1000, 500.0, {"ReceiveMessage": 60, "SendMessageBatch": 40}, 0.1, 0, 3250)


def sample(consumer: str, number: int, per_second: float) -> Sample:
    return replace(SAMPLE, consumer=consumer, round=number, events_per_second=per_second)


def test_an_event_id_tells_its_number() -> None:
    assert [numbered.number_of(numbered.event_id(number)) for number in (0, 7, 199_999)] == [
        0,
        7,
        199_999,
    ]


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_a_question_leads_to_a_job_for_every_sink_that_waits_for_it(number: int) -> None:
    kinds = [job.kind for job in react(numbered.question(number))]
    assert {"session.update", "analytics.emit", "audit.append"} <= set(kinds)
    assert ("interaction.count" in kinds) == (number % 4 == 0)


def test_the_ratio_is_to_the_best_stock_worker_of_the_round() -> None:
    samples = [
        sample(OURS, 0, 9000.0),
        sample(STOCK_BEST, 0, 900.0),
        sample(STOCK_PREFORK, 0, 300.0),
        sample(OURS, 1, 12_000.0),
        sample(STOCK_BEST, 1, 600.0),
    ]
    assert events.paired(samples, MEMORY) == 15.0
    assert events.paired(samples[:1], MEMORY) is None


def test_the_paced_run_is_judged_by_all_that_sqs_was_asked() -> None:
    assert FLOW.requests_per_event == 0.1
    claims = events.summarise([SAMPLE], FLOW, MACHINE).claims
    assert [(claim.measured, claim.target, claim.holds) for claim in claims] == [(0.1, 0.15, True)]
    assert FLOW.table().rows[-1] == ["all", "100", "0.1000"]


def test_calls_are_counted_between_two_looks() -> None:
    before = {"SendMessage": 3, "ReceiveMessage": 5}
    after = {"SendMessage": 3, "ReceiveMessage": 9, "DeleteMessageBatch": 1}
    assert call_counts(before, after) == {"ReceiveMessage": 4, "DeleteMessageBatch": 1}


@pytest.mark.parametrize("quick", [True, False])
def test_every_planned_worker_is_known(*, quick: bool) -> None:
    plan = events.plan(None, quick=quick)
    assert {case.consumer for case in plan.cases} == set(CONSUMERS)
    assert plan.rounds >= 1
