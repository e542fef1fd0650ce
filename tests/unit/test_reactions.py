"""What follows from an event, beyond what the tables of names say."""

import pytest

from domain.events import AnswerServed, FeedbackGiven, Served, ServedFrom
from domain.jobs import AppendAudit, EmitAnalytics, NotePreference
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
