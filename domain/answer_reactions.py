"""What follows from questions and their answers: turns, records, lines, and what is to be made."""

from collections.abc import Sequence
from dataclasses import replace

from domain.answer_upkeep import answer_upkeep
from domain.event_ids import event_id_of_look_up
from domain.event_records import analytics_of, audit_of
from domain.events import (
    AnswerCompleted,
    AnswerGenerated,
    AnswerServed,
    AnswerUnkept,
    InteractionType,
    QuestionTaken,
    Served,
    ServedFrom,
)
from domain.job_headers import Header, header
from domain.jobs import (
    CheckAnswer,
    CheckUnkept,
    CountInteraction,
    Job,
    NotePreference,
    UpdateSession,
    WriteResponse,
)
from domain.personal_answers import preview_in
from domain.questions import QuestionKind


def after_answer(event: AnswerServed, found: Served) -> Sequence[Job]:
    """The turn, its records, and what it shows to be missing."""
    return _turn_of(event, found, found)


def after_question(event: QuestionTaken, found: Served) -> Sequence[Job]:
    """The turn stands in its session from the beginning, without an answer until there is one."""
    if found.source is not ServedFrom.PRECOMPUTED:
        return _turn_of(event, Served(ServedFrom.PENDING), found)
    if event.kind == QuestionKind.CHAT:
        return _turn_of(event, replace(found, source=ServedFrom.CACHE), found)
    return _turn_of(event, found, found)


def _turn_of(event: AnswerServed, answered: Served, found: Served) -> Sequence[Job]:
    """The jobs of a question, of what answered it so far, and of what was found in Redis."""
    return [
        _session_turn(event, answered),
        _answer_analytics(event, answered),
        _answer_audit(event, answered),
        *_look_up(event),
        *_preference(event),
        *answer_upkeep(event, found),
    ]


def after_completion(event: AnswerCompleted) -> Sequence[Job]:
    """The answer in the turn of its question."""
    asked = Header(
        event_id=event.asked_event_id,
        producer=event.producer,
        seq=event.seq,
        occurred_at=event.asked_at,
        traceparent=event.traceparent,
    )
    return [
        UpdateSession(
            **asked,
            session_id=event.session_id,
            owner=event.owner,
            message_id=event.message_id,
            question=event.question,
            answer_preview=event.answer_preview,
            answer_id=event.answer_id,
        ),
        analytics_of(
            event,
            {
                "answer_event_id": event.asked_event_id,
                "locale": event.locale,
                "source": event.source,
                "rung": event.rung,
                "seconds": event.occurred_at - event.asked_at,
                "signed_in": bool(event.owner),
            },
        ),
        audit_of(
            event,
            actor=event.owner,
            subject=event.session_id,
            outcome=event.source,
        ),
    ]


def _session_turn(event: AnswerServed, served: Served) -> Job:
    return UpdateSession(
        **header(event),
        session_id=event.session_id,
        owner=event.owner,
        message_id=event.message_id,
        question=event.question,
        answer_preview=preview_in(served.preview, event.locale),
        answer_id=served.answer_id if served.source is ServedFrom.CACHE else "",
    )


def _answer_analytics(event: AnswerServed, served: Served) -> Job:
    age = event.occurred_at - served.generated_at if served.generated_at else None
    return analytics_of(
        event,
        {
            "kind": event.kind,
            "slug": event.slug,
            "locale": event.locale,
            "source": served.source.value,
            "answer_version": served.version,
            "answer_age_seconds": age,
            "question_chars": len(event.question),
            "signed_in": bool(event.owner),
        },
    )


def _answer_audit(event: AnswerServed, served: Served) -> Job:
    return audit_of(
        event,
        actor=event.owner,
        subject=event.session_id,
        outcome=served.source.value,
    )


def _look_up(event: AnswerServed) -> Sequence[Job]:
    if event.kind != QuestionKind.TITLE or not event.slug:
        return []
    once = event_id_of_look_up(event.owner, event.session_id, event.slug)
    return [
        CountInteraction(
            **(header(event) | {"event_id": once}),
            interaction=InteractionType.LOOKUP,
            item_id=event.slug,
            user_id=event.owner,
        )
    ]


def _preference(event: AnswerServed) -> Sequence[Job]:
    if not event.owner:
        return []
    genre = event.slug if event.kind == QuestionKind.GENRE else ""
    return [NotePreference(**header(event), user_id=event.owner, locale=event.locale, genre=genre)]


def after_model(event: AnswerGenerated) -> Sequence[Job]:
    """The two come in any order: what fails the check is not kept after it either."""
    key, stored = event.response_key, event.stored
    return [
        WriteResponse(**header(event), response_key=key, stored=stored),
        CheckAnswer(**header(event), response_key=key, stored=stored),
    ]


def after_unkept(event: AnswerUnkept) -> Sequence[Job]:
    """It is checked like one that is kept."""
    return [
        CheckUnkept(
            **header(event),
            answer_id=event.answer_id,
            text=event.text,
            item_ids=event.item_ids,
            locale=event.locale,
            is_negative=event.is_negative,
        )
    ]
