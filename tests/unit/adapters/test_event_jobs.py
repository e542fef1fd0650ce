"""What follows from an entry of the outbox: what was found beside the event, and whose it is."""

import pytest

from adapters.event_jobs import EVENT, FOUND, HEAD, translate
from adapters.msgpack_wire import decode_pack, encode_event, join_pack
from config import texts
from domain.answers import HEADER
from domain.events import (
    AnswerCompleted,
    Event,
    InteractionRecorded,
    InteractionType,
    QuestionTaken,
)
from domain.jobs import AppendAudit, CountInteraction, UpdateSession
from domain.personal_answers import Lifetime, store
from tests.fakes import NOW
from tests.samples import title

HOUR = 3600.0


def head_of(owner: str) -> bytes:
    """What the entry has of a stored recommendation: its header and preview."""
    answer = store(owner, [(title("a"), 1.0)], texts.declared(), NOW, Lifetime(60, 600))
    return answer.pack()[: HEADER.size + len(answer.preview.encode())]


def taken(at: float = NOW) -> QuestionTaken:
    return QuestionTaken(
        event_id="e", occurred_at=at, producer="p", seq=0, session_id="s", owner="ann",
        message_id="m", question="q", kind="recommendation", slug="", locale="en",
    )  # fmt: skip


def completed(at: float) -> AnswerCompleted:
    return AnswerCompleted(
        event_id="f", occurred_at=at + 1, producer="p", seq=1, asked_event_id="e", asked_at=at,
        session_id="s", owner="ann", message_id="m", question="q", locale="en",
        answer_preview="an answer", source="model", rung="fresh",
    )  # fmt: skip


def job_of(
    event: Event, kind: type[UpdateSession | CountInteraction], appended_at: float
) -> UpdateSession | CountInteraction:
    encoded = dict(translate({EVENT: encode_event(event)}, appended_at).jobs)
    (job,) = decode_pack(join_pack(kind.kind, kind.version, [encoded[kind.kind]]))
    assert isinstance(job, kind)
    return job


@pytest.mark.parametrize("wrong", [-HOUR, HOUR])
def test_a_turn_is_of_the_time_of_redis_where_the_clock_of_its_process_is_far_from_it(
    wrong: float,
) -> None:
    assert job_of(taken(NOW + wrong), UpdateSession, NOW).occurred_at == NOW
    assert job_of(completed(NOW + wrong), UpdateSession, NOW + 1).occurred_at == NOW


@pytest.mark.parametrize("wrong", [-60.0, 60.0])
def test_a_turn_keeps_its_time_where_the_clocks_differ_by_little(wrong: float) -> None:
    assert job_of(taken(NOW + wrong), UpdateSession, NOW).occurred_at == NOW + wrong
    assert job_of(completed(NOW + wrong), UpdateSession, NOW).occurred_at == NOW + wrong


def test_what_a_customer_tells_of_keeps_the_time_that_it_has() -> None:
    long_ago = InteractionRecorded(
        event_id="i", occurred_at=NOW - HOUR, producer="p", seq=2,
        interaction=InteractionType.VIEW, item_id="a", user_id="ann",
    )  # fmt: skip
    assert job_of(long_ago, CountInteraction, NOW).occurred_at == NOW - HOUR


@pytest.mark.parametrize(
    ("stored_for", "outcome"), [("ann", "precomputed"), ("bob", "pending")], ids=["own", "foreign"]
)
def test_a_session_has_no_preview_of_what_is_another_users(stored_for: str, outcome: str) -> None:
    event = taken()
    fields = {EVENT: encode_event(event), FOUND: b"1", HEAD: head_of(stored_for)}
    encoded = dict(translate(fields).jobs)
    turn, audit = (
        decode_pack(join_pack(job.kind, job.version, [encoded[job.kind]]))[0]
        for job in (UpdateSession, AppendAudit)
    )
    assert isinstance(turn, UpdateSession)
    assert isinstance(audit, AppendAudit)
    assert ("Title a" in turn.answer_preview) == (stored_for == "ann")
    assert audit.outcome == outcome
