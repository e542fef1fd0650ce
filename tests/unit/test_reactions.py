"""What follows from an event, beyond what the tables of names say."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from domain.events import (
    AnswerCompleted,
    AnswerServed,
    FeedbackGiven,
    QuestionTaken,
    Served,
    ServedFrom,
)
from domain.jobs import (
    AppendAudit,
    CountInteraction,
    EmitAnalytics,
    Job,
    NotePreference,
    UpdateSession,
    WriteAnswer,
)
from domain.reactions import react
from tests.fakes import NOW

SERVED = Served(ServedFrom.PRECOMPUTED, 7, NOW - 10, NOW + 890, "preview")


def answered(kind: str, slug: str = "", owner: str = "ann") -> AnswerServed:
    return AnswerServed(
        event_id="e1", occurred_at=NOW, producer="test", seq=1, session_id="s", owner=owner,
        message_id="m", question="?", kind=kind, slug=slug, locale="ja",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("event", "genres"),
    [
        (answered("genre", "action"), ["action"]),
        (answered("trending"), [""]),
        (answered("title", "t1"), [""]),
        (answered("genre", "action", owner=""), []),
    ],
)
def test_what_a_signed_in_customer_asks_for_is_a_preference(
    event: AnswerServed, genres: list[str]
) -> None:
    notes = [job for job in react(event, SERVED) if isinstance(job, NotePreference)]
    assert [note.genre for note in notes] == genres
    assert all((note.user_id, note.locale) == (event.owner, "ja") for note in notes)


def look_up(owner: str, session: str, slug: str = "t1", event_id: str = "e1") -> CountInteraction:
    event = replace(answered("title", slug, owner), session_id=session, event_id=event_id)
    (found,) = [job for job in react(event, SERVED) if isinstance(job, CountInteraction)]
    return found


def test_a_visitor_looks_a_title_up_once_however_often_it_is_asked_for() -> None:
    first = look_up("ann", "s")
    assert (first.interaction, first.item_id, first.user_id) == ("lookup", "t1", "ann")
    assert look_up("ann", "other session", event_id="e2").event_id == first.event_id
    assert look_up("", "s", event_id="e2").event_id == look_up("", "s").event_id
    ids = [
        first.event_id,
        look_up("bob", "s").event_id,
        look_up("ann", "s", "t2").event_id,
        look_up("", "s").event_id,
        look_up("", "ann").event_id,
    ]
    assert len(set(ids)) == len(ids)


def test_an_opinion_is_told_to_analytics_and_the_audit_trail_which_hears_no_words() -> None:
    event = FeedbackGiven(
        event_id="f1", occurred_at=NOW, producer="test", seq=1, session_id="s", owner="ann",
        answer_event_id="e1", signal="down", comment="out of date",
    )  # fmt: skip
    analytics, audit = react(event)
    assert isinstance(analytics, EmitAnalytics)
    assert analytics.attributes == {
        "answer_event_id": "e1", "signal": "down", "comment": "out of date", "user": "ann",
    }  # fmt: skip
    assert isinstance(audit, AppendAudit)
    assert (audit.actor, audit.subject, audit.outcome) == ("ann", "e1", "down")
    assert "out of date" not in repr(audit)


def taken(kind: str = "chat", slug: str = "") -> QuestionTaken:
    return QuestionTaken(
        event_id="e1", occurred_at=NOW, producer="test", seq=1, session_id="s", owner="ann",
        message_id="m", question="?", kind=kind, slug=slug, locale="ja",
    )  # fmt: skip


def turn_and_outcome(jobs: Sequence[Job]) -> tuple[str, str]:
    (turn,) = [job for job in jobs if isinstance(job, UpdateSession)]
    (audit,) = [job for job in jobs if isinstance(job, AppendAudit)]
    return turn.answer_preview, audit.outcome


@pytest.mark.parametrize("found", [ServedFrom.FALLBACK, ServedFrom.NOTHING])
def test_a_question_without_an_answer_yet_is_a_turn_without_one(found: ServedFrom) -> None:
    served = Served(found, 7, NOW - 10, NOW + 890, "popular titles")
    assert turn_and_outcome(react(taken(), served)) == ("", "pending")


@pytest.mark.parametrize(
    ("kind", "slug", "outcome"), [("chat", "", "cache"), ("title", "t1", "precomputed")]
)
def test_a_question_whose_answer_was_found_with_it_is_answered(
    kind: str, slug: str, outcome: str
) -> None:
    assert turn_and_outcome(react(taken(kind, slug), SERVED)) == ("preview", outcome)


def test_a_title_without_a_stored_answer_gets_one() -> None:
    jobs = react(taken("title", "t1"), Served(ServedFrom.FALLBACK))
    assert [job.slug for job in jobs if isinstance(job, WriteAnswer)] == ["t1"]


def test_a_completion_completes_the_turn_of_its_question() -> None:
    event = AnswerCompleted(
        event_id="c1", occurred_at=NOW + 2, producer="test", seq=2, asked_event_id="e1",
        asked_at=NOW, session_id="s", owner="ann", message_id="m", question="?", locale="ja",
        answer_preview="made", source="model", rung="fresh",
    )  # fmt: skip
    jobs = react(event)
    (asked,) = [job for job in react(taken()) if isinstance(job, UpdateSession)]
    (turn,) = [job for job in jobs if isinstance(job, UpdateSession)]
    assert (turn.event_id, turn.occurred_at) == (asked.event_id, asked.occurred_at)
    assert turn_and_outcome(jobs) == ("made", "model")
    (record,) = [job for job in jobs if isinstance(job, EmitAnalytics)]
    assert (record.event_id, record.attributes["answer_event_id"]) == ("c1", "e1")
    assert (record.attributes["rung"], record.attributes["seconds"]) == ("fresh", 2.0)
    assert "?" not in repr(record)
