"""The wire format, spelt out: what is under way while versions change must be read."""

from collections.abc import Sequence
from dataclasses import fields, replace

import pytest

from adapters.msgpack_wire import decode_event, decode_pack, encode_event, encode_pack
from domain.errors import Malformed
from domain.events import EVENT_TYPES, AnswerServed, Event, QuestionTaken, RecommendationServed
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
ADDED = {"question.taken": {2: "catalogue"}, "recommendation.served": {2: "catalogue"}}
"""Which version of an event added which of its fields."""
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
TAKEN = QuestionTaken(
    event_id="e", occurred_at=1.5, producer="p", seq=7, session_id="s", owner="o", message_id="m",
    question="新刊", kind="recommendation", slug="", locale="ja", catalogue="c",
)  # fmt: skip
_TAKEN_FIELDS = (
    b"\xa1e\xcb?\xf8\x00\x00\x00\x00\x00\x00\xa1p\x07\xc0"
    b"\xa1s\xa1o\xa1m\xa6\xe6\x96\xb0\xe5\x88\x8a\xaerecommendation\xa0\xa2ja"
)
TAKEN_BYTES = b"\x93\xaequestion.taken\x02\x9d" + _TAKEN_FIELDS + b"\xa1c"
TAKEN_BYTES_1 = b"\x93\xaequestion.taken\x01\x9c" + _TAKEN_FIELDS
SHOWN = RecommendationServed(
    event_id="e", occurred_at=1.5, producer="p", seq=7, owner="o", locale="ja", catalogue="c"
)
_SHOWN_FIELDS = b"\xa1e\xcb?\xf8\x00\x00\x00\x00\x00\x00\xa1p\x07\xc0\xa1o\xa2ja"
SHOWN_BYTES = b"\x93\xb5recommendation.served\x02\x98" + _SHOWN_FIELDS + b"\xa1c"
SHOWN_BYTES_1 = b"\x93\xb5recommendation.served\x01\x97" + _SHOWN_FIELDS
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
    assert names(event) == f"{HEADER_OF_EVENTS} {EVENTS[event.type]}".split()


@pytest.mark.parametrize("event", EVENT_TYPES)
def test_a_version_of_an_event_has_the_fields_it_had(event: type[Event]) -> None:
    added = ADDED.get(event.type, {})
    assert event.version == max(added, default=1)
    assert event.added == {name: since for since, names in added.items() for name in names.split()}


@pytest.mark.parametrize("job", JOB_TYPES)
def test_the_fields_of_a_job_stand_where_they_stood(job: type[Job]) -> None:
    assert job.version == 1
    assert names(job) == f"{HEADER_OF_JOBS} {JOBS[job.kind]}".split()


@pytest.mark.parametrize(
    ("event", "encoded"), [(SERVED, SERVED_BYTES), (TAKEN, TAKEN_BYTES), (SHOWN, SHOWN_BYTES)]
)
def test_an_event_is_these_bytes(event: Event, encoded: bytes) -> None:
    assert encode_event(event) == encoded
    assert decode_event(encoded) == event


@pytest.mark.parametrize(("event", "encoded"), [(TAKEN, TAKEN_BYTES_1), (SHOWN, SHOWN_BYTES_1)])
def test_an_event_of_the_version_before_is_read(
    event: QuestionTaken | RecommendationServed, encoded: bytes
) -> None:
    assert decode_event(encoded) == replace(event, catalogue="")


@pytest.mark.parametrize(
    "encoded",
    [
        TAKEN_BYTES.replace(b"\x02\x9d", b"\x01\x9d"),
        TAKEN_BYTES_1.replace(b"\x01\x9c", b"\x02\x9c"),
    ],
)
def test_no_version_has_the_fields_of_another(encoded: bytes) -> None:
    with pytest.raises(Malformed):
        decode_event(encoded)


def test_a_pack_is_these_bytes() -> None:
    assert encode_pack([UPDATE]) == UPDATE_BYTES
    assert decode_pack(UPDATE_BYTES) == [UPDATE]


def names(message: type[Event] | type[Job]) -> Sequence[str]:
    return [field.name for field in fields(message)]
