"""What follows from what happened: one table from each event type to its jobs."""

from collections.abc import Sequence
from dataclasses import replace
from functools import singledispatch
from typing import TypedDict

from domain.events import (
    AnswerCompleted,
    AnswerFoundDamaged,
    AnswerGenerated,
    AnswerServed,
    Event,
    FeaturesChanged,
    FeedbackGiven,
    InteractionRecorded,
    InteractionType,
    QuestionTaken,
    RecommendationComputed,
    RecommendationMissed,
    RecommendationServed,
    Served,
    ServedFrom,
    event_id_of_look_up,
)
from domain.jobs import (
    AppendAudit,
    CheckAnswer,
    CountInteraction,
    EmitAnalytics,
    Job,
    NotePreference,
    PrecomputeAnswers,
    RefreshRecommendation,
    SyncFeatures,
    UpdateSession,
    WriteAnswer,
    WriteRecommendation,
    WriteResponse,
)
from domain.personal_answers import preview_in
from domain.questions import QuestionKind

_NOT_PRECOMPUTED = {QuestionKind.CHAT.value}


class _Header(TypedDict):
    event_id: str
    producer: str
    seq: int
    occurred_at: float
    traceparent: str | None


@singledispatch
def react(event: Event, served: Served | None = None) -> Sequence[Job]:
    """The jobs that follow from an event; `served` comes with an `AnswerServed` only.

    Raises NotImplementedError for an event type that nothing reacts to.
    """
    raise NotImplementedError(f"nothing reacts to {type(event).__name__}")


@react.register
def _after_answer(event: AnswerServed, served: Served | None = None) -> Sequence[Job]:
    found = served or Served(ServedFrom.NOTHING)
    return _turn_of(event, found, found)


@react.register
def _after_question(event: QuestionTaken, served: Served | None = None) -> Sequence[Job]:
    """The turn stands in its session from the beginning, without an answer until there is one."""
    found = served or Served(ServedFrom.NOTHING)
    if found.source is not ServedFrom.PRECOMPUTED:
        return _turn_of(event, Served(ServedFrom.PENDING), found)
    if event.kind in _NOT_PRECOMPUTED:
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
        *_cache_upkeep(event, found),
    ]


@react.register
def _after_completion(event: AnswerCompleted, served: Served | None = None) -> Sequence[Job]:
    asked = _Header(
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
        ),
        EmitAnalytics(
            **_header(event),
            type=event.type,
            attributes={
                "answer_event_id": event.asked_event_id,
                "locale": event.locale,
                "source": event.source,
                "rung": event.rung,
                "seconds": event.occurred_at - event.asked_at,
                "signed_in": bool(event.owner),
            },
        ),
        AppendAudit(
            **_header(event),
            action=event.type,
            actor=event.owner,
            subject=event.session_id,
            outcome=event.source,
        ),
    ]


def _session_turn(event: AnswerServed, served: Served) -> Job:
    return UpdateSession(
        **_header(event),
        session_id=event.session_id,
        owner=event.owner,
        message_id=event.message_id,
        question=event.question,
        answer_preview=preview_in(served.preview, event.locale),
    )


def _answer_analytics(event: AnswerServed, served: Served) -> Job:
    age = event.occurred_at - served.generated_at if served.generated_at else None
    return EmitAnalytics(
        **_header(event),
        type=event.type,
        attributes={
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
    return AppendAudit(
        **_header(event),
        action=event.type,
        actor=event.owner,
        subject=event.session_id,
        outcome=served.source.value,
    )


def _look_up(event: AnswerServed) -> Sequence[Job]:
    if event.kind != QuestionKind.TITLE or not event.slug:
        return []
    header = _header(event)
    header["event_id"] = event_id_of_look_up(event.owner, event.session_id, event.slug)
    return [
        CountInteraction(
            **header,
            interaction=InteractionType.LOOKUP,
            item_id=event.slug,
            user_id=event.owner,
        )
    ]


def _preference(event: AnswerServed) -> Sequence[Job]:
    if not event.owner:
        return []
    genre = event.slug if event.kind == QuestionKind.GENRE else ""
    return [NotePreference(**_header(event), user_id=event.owner, locale=event.locale, genre=genre)]


def _cache_upkeep(event: AnswerServed, served: Served) -> Sequence[Job]:
    """A missing title is written when asked for; any other missing or stale set is recomputed."""
    if event.kind in _NOT_PRECOMPUTED:
        return []
    if event.kind == QuestionKind.RECOMMENDATION and event.owner:
        return _recommendation_upkeep(event, event.owner, served)
    if event.kind != QuestionKind.TITLE:
        return _set_upkeep(event, event.kind, served)
    if served.source is not ServedFrom.PRECOMPUTED or served.stale_at(event.occurred_at):
        return [
            WriteAnswer(
                **_header(event), answer_kind=event.kind, slug=event.slug, locale=event.locale
            )
        ]
    return []


def _set_upkeep(event: Event, kind: str, served: Served) -> Sequence[Job]:
    missing = served.source is not ServedFrom.PRECOMPUTED
    if not missing and not served.stale_at(event.occurred_at):
        return []
    version = 0 if missing else served.version
    return [PrecomputeAnswers(**_header(event), answer_kind=kind, stale_version=version)]


def _recommendation_upkeep(event: Event, owner: str, served: Served) -> Sequence[Job]:
    """A stale one is made anew. One that is missing the request path makes, and says so itself."""
    if served.source is ServedFrom.NOTHING:
        return _set_upkeep(event, QuestionKind.RECOMMENDATION.value, served)
    if served.stale_at(event.occurred_at):
        return [RefreshRecommendation(**_header(event), user_id=owner)]
    return []


@react.register
def _after_recommendation(
    event: RecommendationServed,
    served: Served | None = None,
) -> Sequence[Job]:
    found = served or Served(ServedFrom.NOTHING)
    age = event.occurred_at - found.generated_at if found.generated_at else None
    if event.owner:
        upkeep = _recommendation_upkeep(event, event.owner, found)
    else:
        upkeep = _set_upkeep(event, QuestionKind.RECOMMENDATION.value, found)
    return [
        EmitAnalytics(
            **_header(event),
            type=event.type,
            attributes={
                "locale": event.locale,
                "source": found.source.value,
                "answer_version": found.version,
                "answer_age_seconds": age,
                "signed_in": bool(event.owner),
            },
        ),
        AppendAudit(
            **_header(event),
            action=event.type,
            actor=event.owner,
            subject="",
            outcome=found.source.value,
        ),
        *upkeep,
    ]


@react.register
def _after_missing(
    event: RecommendationMissed,
    served: Served | None = None,
) -> Sequence[Job]:
    return [RefreshRecommendation(**_header(event), user_id=event.user_id)]


@react.register
def _after_computing(
    event: RecommendationComputed,
    served: Served | None = None,
) -> Sequence[Job]:
    return [WriteRecommendation(**_header(event), user_id=event.user_id, items=event.items)]


@react.register
def _after_interaction(
    event: InteractionRecorded,
    served: Served | None = None,
) -> Sequence[Job]:
    return [
        CountInteraction(
            **_header(event),
            interaction=event.interaction,
            item_id=event.item_id,
            user_id=event.user_id,
            value=event.value,
        ),
        EmitAnalytics(
            **_header(event),
            type=event.type,
            attributes={
                "interaction": event.interaction.value,
                "item_id": event.item_id,
                "user": event.user_id,
                "value": event.value,
            },
        ),
    ]


@react.register
def _after_feedback(event: FeedbackGiven, served: Served | None = None) -> Sequence[Job]:
    return [
        EmitAnalytics(
            **_header(event),
            type=event.type,
            attributes={
                "answer_event_id": event.answer_event_id,
                "signal": event.signal,
                "comment": event.comment or None,
                "user": event.owner,
            },
        ),
        AppendAudit(
            **_header(event),
            action=event.type,
            actor=event.owner,
            subject=event.answer_event_id,
            outcome=event.signal,
        ),
    ]


@react.register
def _after_damage(event: AnswerFoundDamaged, served: Served | None = None) -> Sequence[Job]:
    """What was deleted is made anew, unless a set that is newer than the damage is there."""
    if event.kind == QuestionKind.TITLE:
        return [
            WriteAnswer(
                **_header(event), answer_kind=event.kind, slug=event.slug, locale=event.locale
            )
        ]
    # Versions of sets are milliseconds too.
    stale_version = int(event.occurred_at * 1000)
    return [
        PrecomputeAnswers(**_header(event), answer_kind=event.kind, stale_version=stale_version)
    ]


@react.register
def _after_change_of_features(
    event: FeaturesChanged,
    served: Served | None = None,
) -> Sequence[Job]:
    return [
        SyncFeatures(
            **_header(event),
            user_id=event.user_id,
            group=event.group,
            deleted_at=event.deleted_at,
        )
    ]


@react.register
def _after_model(event: AnswerGenerated, served: Served | None = None) -> Sequence[Job]:
    """The two come in any order: what fails the check is not kept after it either."""
    header, key, stored = _header(event), event.response_key, event.stored
    check = CheckAnswer(**header, response_key=key, stored=stored)
    if not event.is_kept:
        return [check]
    return [WriteResponse(**header, response_key=key, stored=stored), check]


def _header(event: Event) -> _Header:
    return {
        "event_id": event.event_id,
        "producer": event.producer,
        "seq": event.seq,
        "occurred_at": event.occurred_at,
        "traceparent": event.traceparent,
    }
