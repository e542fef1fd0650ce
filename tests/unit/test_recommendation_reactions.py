"""What follows from a recommendation that was shown or computed."""

import pytest

from domain.events import (
    AnswerServed,
    Event,
    Locale,
    QuestionTaken,
    RecommendationComputed,
    RecommendationMissed,
    RecommendationServed,
    Served,
    ServedFrom,
)
from domain.jobs import (
    AppendAudit,
    EmitAnalytics,
    Job,
    NotePreference,
    PrecomputeAnswers,
    RefreshRecommendation,
    UpdateSession,
    WriteRecommendation,
)
from domain.reactions import react
from tests.fakes import NOW

FRESH = Served(ServedFrom.PRECOMPUTED, 7, NOW - 10, NOW + 10, "題\nTitle\nv-1")
STALE = Served(ServedFrom.PRECOMPUTED, 7, NOW - 10, NOW - 1, "題\nTitle\nv-1")
POPULAR = Served(ServedFrom.FALLBACK, 7, NOW - 10, NOW + 10, "popular")
NOTHING = Served(ServedFrom.NOTHING)
OUTDATED = Served(ServedFrom.OUTDATED, 7, NOW - 10, NOW + 10, "題\nTitle\nv-0")


def shown(owner: str) -> RecommendationServed:
    return RecommendationServed(
        event_id="e", occurred_at=NOW, producer="p", seq=0, owner=owner, locale="ja"
    )


def asked(
    owner: str, locale: Locale = "ja", kind: type[AnswerServed] = AnswerServed
) -> AnswerServed:
    return kind(
        event_id="e", occurred_at=NOW, producer="p", seq=0, session_id="s", owner=owner,
        message_id="m", question="q", kind="recommendation", slug="", locale=locale,
    )  # fmt: skip


def upkeep(event: Event, served: Served) -> list[Job]:
    jobs = react(event, served)
    assert any(isinstance(job, EmitAnalytics) for job in jobs)
    assert any(isinstance(job, AppendAudit) for job in jobs)
    other = (EmitAnalytics, AppendAudit, UpdateSession, NotePreference)
    return [job for job in jobs if not isinstance(job, other)]


@pytest.mark.parametrize("event", [shown("ann"), asked("ann"), asked("ann", "ja", QuestionTaken)])
@pytest.mark.parametrize("served", [STALE, OUTDATED])
def test_a_stale_one_is_made_anew_for_its_user(event: Event, served: Served) -> None:
    (job,) = upkeep(event, served)
    assert isinstance(job, RefreshRecommendation)
    assert job.user_id == "ann"


@pytest.mark.parametrize("event", [shown("ann"), asked("ann"), asked("ann", "ja", QuestionTaken)])
@pytest.mark.parametrize("served", [FRESH, POPULAR])
def test_a_fresh_or_missing_one_leads_to_nothing_more(event: Event, served: Served) -> None:
    assert upkeep(event, served) == []


@pytest.mark.parametrize("owner", ["ann", ""])
def test_without_the_popular_titles_those_are_published(owner: str) -> None:
    for event in (shown(owner), asked(owner), asked(owner, "ja", QuestionTaken)):
        (job,) = upkeep(event, NOTHING)
        assert isinstance(job, PrecomputeAnswers)
        assert (job.answer_kind, job.stale_version) == ("recommendation", 0)


def test_somebody_unknown_has_none_made() -> None:
    assert upkeep(shown(""), FRESH) == []
    (job,) = upkeep(shown(""), STALE)
    assert isinstance(job, PrecomputeAnswers)


def test_outside_of_a_session_none_is_updated() -> None:
    assert not [job for job in react(shown("ann"), FRESH) if isinstance(job, UpdateSession)]


@pytest.mark.parametrize(("locale", "preview"), [("ja", "題"), ("en", "Title")])
def test_a_session_keeps_the_preview_in_its_locale(locale: Locale, preview: str) -> None:
    (turn,) = [job for job in react(asked("ann", locale), FRESH) if isinstance(job, UpdateSession)]
    assert turn.answer_preview == preview


@pytest.mark.parametrize("served", [POPULAR, NOTHING, OUTDATED])
def test_a_session_has_no_answer_that_the_user_was_not_shown(served: Served) -> None:
    jobs = react(asked("ann", "ja", QuestionTaken), served)
    (turn,) = [job for job in jobs if isinstance(job, UpdateSession)]
    (audit,) = [job for job in jobs if isinstance(job, AppendAudit)]
    assert (turn.answer_preview, audit.outcome) == ("", "pending")


@pytest.mark.parametrize(
    ("served", "source", "version", "age"),
    [
        (FRESH, "precomputed", 7, 10.0),
        (OUTDATED, "stale", 7, 10.0),
        (POPULAR, "fallback", 7, 10.0),
        (NOTHING, "nothing", 0, None),
    ],
)
def test_the_records_of_a_page_say_what_it_was_and_how_old(
    served: Served, source: str, version: int, age: float | None
) -> None:
    jobs = react(shown("ann"), served)
    (record,) = [job for job in jobs if isinstance(job, EmitAnalytics)]
    (audit,) = [job for job in jobs if isinstance(job, AppendAudit)]
    assert (record.attributes["source"], audit.outcome) == (source, source)
    assert record.attributes["answer_version"] == version
    assert record.attributes["answer_age_seconds"] == age


def test_what_was_missed_is_made_by_a_worker() -> None:
    event = RecommendationMissed(event_id="e", occurred_at=NOW, producer="p", seq=0, user_id="ann")
    (job,) = react(event)
    assert isinstance(job, RefreshRecommendation)
    assert job.user_id == "ann"


def test_what_was_computed_is_written() -> None:
    items = (("a", 1.0), ("b", 0.5))
    event = RecommendationComputed(
        event_id="e", occurred_at=NOW, producer="p", seq=0, user_id="ann", items=items
    )
    (job,) = react(event)
    assert isinstance(job, WriteRecommendation)
    assert (job.user_id, job.items, job.occurred_at) == ("ann", items, NOW)
