"""What an operator sees of a parked job, and what a redacted export leaves out."""

import json
from dataclasses import fields, replace

from adapters.msgpack_wire import encode_pack, join_pack
from cli import dlq_documents as documents
from domain.jobs import JOB_TYPES
from domain.parking import UNREADABLE, Parked
from tests.fakes import NOW
from tests.samples import session_update
from workers.setting_aside import Delivery, parked_job

HARMLESS = {
    *("event_id", "producer", "seq", "occurred_at", "traceparent", "type", "action", "outcome"),
    *("interaction", "item_id", "value", "answer_kind", "slug", "locale", "tick", "stale_version"),
    *("group", "deleted_at", "genre", "response_key", "answer_id", "is_negative"),
}
"""What says nothing of a customer. An event id of theirs is chosen to be unique, not to be read."""


def parked() -> Parked:
    job = replace(session_update("e1", "s1", "hana"), question="what she asked")
    return parked_job(job, "no", Delivery(job.kind, "m1", "sessions", 2), NOW)


def test_every_field_of_a_job_is_known_to_be_personal_or_harmless() -> None:
    named = {field.name for job_type in JOB_TYPES for field in fields(job_type)}
    assert named == HARMLESS | documents.PERSONAL
    assert not HARMLESS & documents.PERSONAL


def test_a_parked_job_is_shown_with_all_that_is_known_of_it() -> None:
    document = documents.parked(parked(), NOW + 5)
    assert document["state"] == "parked"
    assert document["reason"] == "permanent"
    assert document["age_seconds"] == 5.0
    assert document["contents"][0]["question"] == "what she asked"
    assert len(document["history"]) == 1
    assert "payload_base64" not in document
    assert any("what she asked" in line for line in documents.lines(document))


def test_what_can_not_be_decoded_is_shown_as_it_came() -> None:
    broken = replace(parked(), payload=join_pack("session.update", 1, [b"\x90"]))
    assert documents.parked(broken, NOW)["payload_base64"]
    message = replace(parked(), kind=UNREADABLE, payload=b"hello")
    assert documents.parked(message, NOW)["body"] == "hello"


def test_a_redacted_document_holds_nothing_of_a_customer() -> None:
    one = replace(parked(), detail="refused")
    for payload in (
        one.payload,
        b"what she asked",
        encode_pack([session_update("e", "s1", "hana")]),
    ):
        text = json.dumps(documents.hidden(documents.parked(replace(one, payload=payload), NOW)))
        for personal in ("what she asked", "hana", "s1", "message-e1"):
            assert personal not in text
