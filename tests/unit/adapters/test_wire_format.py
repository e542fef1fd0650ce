"""The wire format of version 1, spelt out: what is under way while versions change must be read."""

from collections.abc import Sequence
from dataclasses import fields

import pytest

from adapters.msgpack_wire import decode_event, decode_pack, encode_event, encode_pack
from domain.events import EVENT_TYPES, AnswerServed, Event
from domain.jobs import JOB_TYPES, Job, UpdateSession

HEADER_OF_EVENTS = "event_id occurred_at producer seq traceparent"
HEADER_OF_JOBS = "event_id producer seq occurred_at traceparent"
EVENTS = {
    "answer.served": "session_id owner message_id question kind slug locale",
    "question.taken": "session_id owner message_id question kind slug locale catalogue",
    "answer.completed": (
        "asked_event_id asked_at session_id owner message_id question locale answer_preview source"
        " rung answer_id"
    ),
    "interaction.recorded": "interaction item_id user_id value",
    "feedback.given": "session_id owner answer_event_id signal comment",
    "answer.found_damaged": "kind slug locale damage",
    "features.changed": "user_id group deleted_at",
    "recommendation.served": "owner locale catalogue",
    "recommendation.computed": "user_id items",
    "recommendation.missed": "user_id",
    "answer.generated": "response_key stored",
    "answer.unkept": "answer_id text item_ids locale is_negative",
}
JOBS = {
    "session.update": "session_id owner message_id question answer_preview answer_id",
    "analytics.emit": "type attributes",
    "audit.append": "action actor subject outcome",
    "interaction.count": "interaction item_id user_id value",
    "preference.note": "user_id locale genre",
    "cache.write": "answer_kind slug locale",
    "answers.precompute": "answer_kind tick stale_version",
    "recommendation.write": "user_id items",
    "recommendation.refresh": "user_id",
    "recommendations.precompute": "tick",
    "dead_letters.retry": "tick",
    "features.sync": "user_id group deleted_at",
    "features.sweep": "tick",
    "features.check": "tick",
    "response.write": "response_key stored",
    "answers.check": "response_key stored",
    "answers.check_unkept": "answer_id text item_ids locale is_negative",
    "endpoints.check": "tick",
}
SERVED = AnswerServed(
    event_id="e", occurred_at=1.5, producer="p", seq=7, session_id="s", owner="o", message_id="m",
    question="新刊", kind="genre", slug="action", locale="ja",
)  # fmt: skip
SERVED_BYTES = (
    b"\x93\xadanswer.served\x01\x9c\xa1e\xcb?\xf8\x00\x00\x00\x00\x00\x00\xa1p\x07\xc0"
    b"\xa1s\xa1o\xa1m\xa6\xe6\x96\xb0\xe5\x88\x8a\xa5genre\xa6action\xa2ja"
)
UPDATE = UpdateSession(
    event_id="e", producer="p", seq=7, occurred_at=1.5, session_id="s", owner="o", message_id="m",
    question="新刊", answer_preview="a", answer_id="i",
)  # fmt: skip
UPDATE_BYTES = (
    b"\x93\xaesession.update\x01\xdd\x00\x00\x00\x01\x9b\xa1e\xa1p\x07"
    b"\xcb?\xf8\x00\x00\x00\x00\x00\x00\xc0\xa1s\xa1o\xa1m\xa6\xe6\x96\xb0\xe5\x88\x8a\xa1a\xa1i"
)


def test_every_type_is_spelt_out() -> None:
    assert {event.type for event in EVENT_TYPES} == EVENTS.keys()
    assert {job.kind for job in JOB_TYPES} == JOBS.keys()


@pytest.mark.parametrize("event", EVENT_TYPES)
def test_the_fields_of_an_event_stand_where_they_stood(event: type[Event]) -> None:
    assert event.version == 1
    assert names(event) == f"{HEADER_OF_EVENTS} {EVENTS[event.type]}".split()


@pytest.mark.parametrize("job", JOB_TYPES)
def test_the_fields_of_a_job_stand_where_they_stood(job: type[Job]) -> None:
    assert job.version == 1
    assert names(job) == f"{HEADER_OF_JOBS} {JOBS[job.kind]}".split()


def test_an_event_is_these_bytes() -> None:
    assert encode_event(SERVED) == SERVED_BYTES
    assert decode_event(SERVED_BYTES) == SERVED


def test_a_pack_is_these_bytes() -> None:
    assert encode_pack([UPDATE]) == UPDATE_BYTES
    assert decode_pack(UPDATE_BYTES) == [UPDATE]


def names(message: type[Event] | type[Job]) -> Sequence[str]:
    return [field.name for field in fields(message)]
