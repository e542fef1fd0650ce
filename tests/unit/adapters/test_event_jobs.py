"""What follows from an entry of the outbox: what was found beside the event, and whose it is."""

import pytest

from adapters.event_jobs import EVENT, FOUND, HEAD, translate
from adapters.msgpack_wire import decode_pack, encode_event, join_pack
from config import texts
from domain.answers import HEADER
from domain.events import QuestionTaken
from domain.jobs import AppendAudit, UpdateSession
from domain.personal_answers import Lifetime, store
from tests.fakes import NOW
from tests.samples import title


def head_of(owner: str) -> bytes:
    """What the entry has of a stored recommendation: its header and preview."""
    answer = store(owner, [(title("a"), 1.0)], texts.declared(), NOW, Lifetime(60, 600))
    return answer.pack()[: HEADER.size + len(answer.preview.encode())]


@pytest.mark.parametrize(
    ("stored_for", "outcome"), [("ann", "precomputed"), ("bob", "pending")], ids=["own", "foreign"]
)
def test_a_session_has_no_preview_of_what_is_another_users(stored_for: str, outcome: str) -> None:
    event = QuestionTaken(
        event_id="e", occurred_at=NOW, producer="p", seq=0, session_id="s", owner="ann",
        message_id="m", question="q", kind="recommendation", slug="", locale="en",
    )  # fmt: skip
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
