"""What follows from an entry of the outbox: what was found beside the event, and whose it is."""

from collections.abc import Mapping
from typing import TypeVar

import pytest

from adapters.event_jobs import EVENT, FOUND, HEAD, translate
from adapters.msgpack_wire import decode_pack, encode_event, join_pack
from adapters.response_wire import ResponseWire
from config import texts
from domain.answers import HEADER
from domain.events import QuestionTaken, RecommendationServed
from domain.jobs import AppendAudit, EmitAnalytics, RefreshRecommendation, UpdateSession
from domain.personal_answers import Lifetime, store
from tests.fakes import NOW
from tests.samples import response, title

J = TypeVar("J", UpdateSession, AppendAudit, EmitAnalytics)


def head_of(owner: str) -> bytes:
    """What the entry has of a stored recommendation: its header and preview."""
    answer = store(
        owner,
        [(title("a"), 1.0)],
        texts.declared(),
        NOW,
        Lifetime(60, 600),
        catalogue_version="v-1",
    )
    return answer.pack()[: HEADER.size + len(answer.preview.encode())]


def asked_for_own(catalogue: str = "v-1") -> QuestionTaken:
    return QuestionTaken(
        event_id="e", occurred_at=NOW, producer="p", seq=0, session_id="s", owner="ann",
        message_id="m", question="q", kind="recommendation", slug="", locale="en",
        catalogue=catalogue,
    )  # fmt: skip


def page_of(catalogue: str) -> RecommendationServed:
    return RecommendationServed(
        event_id="e", occurred_at=NOW + 5, producer="p", seq=0, owner="ann", locale="en",
        catalogue=catalogue,
    )  # fmt: skip


def job_of(kind: type[J], fields: Mapping[bytes, bytes]) -> J:
    """The one job of this kind that follows from an entry."""
    encoded = dict(translate(fields).jobs)
    (found,) = decode_pack(join_pack(kind.kind, kind.version, [encoded[kind.kind]]))
    assert isinstance(found, kind)
    return found


@pytest.mark.parametrize(
    ("stored_for", "catalogue", "outcome"),
    [("ann", "v-1", "precomputed"), ("bob", "v-1", "pending"), ("ann", "v-2", "pending")],
    ids=["own", "foreign", "of another catalogue"],
)
def test_a_session_has_no_preview_of_what_was_not_shown(
    stored_for: str, catalogue: str, outcome: str
) -> None:
    event = asked_for_own(catalogue)
    fields = {EVENT: encode_event(event), FOUND: b"1", HEAD: head_of(stored_for)}
    turn, audit = job_of(UpdateSession, fields), job_of(AppendAudit, fields)
    assert ("Title a" in turn.answer_preview) == (outcome == "precomputed")
    assert "v-1" not in turn.answer_preview
    assert audit.outcome == outcome


@pytest.mark.parametrize(("catalogue", "is_made_anew"), [("v-1", False), ("v-2", True)])
def test_a_recommendation_of_another_catalogue_is_made_anew(
    catalogue: str, is_made_anew: bool
) -> None:
    page = page_of(catalogue)
    for event in (asked_for_own(catalogue), page):
        fields = {EVENT: encode_event(event), FOUND: b"1", HEAD: head_of("ann")}
        kinds = [kind for kind, _ in translate(fields).jobs]
        assert (RefreshRecommendation.kind in kinds) is is_made_anew
    popular = {EVENT: encode_event(page), FOUND: b"2", HEAD: head_of("nobody")}
    kinds = [kind for kind, _ in translate(popular).jobs]
    assert RefreshRecommendation.kind not in kinds, "the request path makes what is missing"


@pytest.mark.parametrize(
    ("stored_for", "catalogue", "source", "version", "age"),
    [
        ("ann", "v-1", "precomputed", int(NOW * 1000), 5.0),
        ("ann", "v-2", "stale", int(NOW * 1000), 5.0),
        ("bob", "v-1", "fallback", 0, None),
    ],
    ids=["own", "of another catalogue", "foreign"],
)
def test_the_records_of_a_page_say_what_was_found_of_the_user(
    stored_for: str, catalogue: str, source: str, version: int, age: float | None
) -> None:
    fields = {EVENT: encode_event(page_of(catalogue)), FOUND: b"1", HEAD: head_of(stored_for)}
    record, audit = job_of(EmitAnalytics, fields), job_of(AppendAudit, fields)
    assert (record.attributes["source"], audit.outcome) == (source, source)
    assert record.attributes["answer_version"] == version
    assert record.attributes["answer_age_seconds"] == age


def test_a_turn_that_was_given_a_kept_answer_of_the_model_names_it() -> None:
    made = response("See https://evil.test")
    stored = ResponseWire("secret", compress_bytes=1024).pack(made)
    assert stored is not None
    event = QuestionTaken(
        event_id="e", occurred_at=NOW, producer="p", seq=0, session_id="s", owner="ann",
        message_id="m", question="q", kind="chat", slug="", locale="en",
    )  # fmt: skip
    head = stored[: HEADER.size + len(made.preview.encode())]
    fields = {EVENT: encode_event(event), FOUND: b"1", HEAD: head}
    turn = job_of(UpdateSession, fields)
    assert (turn.answer_preview, turn.answer_id) == (made.preview, made.answer_id)
    other = job_of(UpdateSession, {**fields, FOUND: b"2"})
    assert (other.answer_preview, other.answer_id) == ("", ""), "that was not its answer"
