"""What follows from what happened: one table from each event type to its jobs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from domain.answer_reactions import (
    after_answer,
    after_completion,
    after_model,
    after_question,
    after_unkept,
)
from domain.answer_upkeep import after_damage, recommendation_upkeep, set_upkeep
from domain.event_records import analytics_of, audit_of
from domain.events import (
    AnswerCompleted,
    AnswerFoundDamaged,
    AnswerGenerated,
    AnswerServed,
    AnswerUnkept,
    Event,
    FeaturesChanged,
    FeedbackGiven,
    InteractionRecorded,
    QuestionTaken,
    RecommendationComputed,
    RecommendationMissed,
    RecommendationServed,
    Served,
    ServedFrom,
)
from domain.job_headers import header
from domain.jobs import (
    CountInteraction,
    Job,
    RefreshRecommendation,
    SyncFeatures,
    WriteRecommendation,
)
from domain.questions import QuestionKind


def react(event: Event, served: Served | None = None) -> Sequence[Job]:
    """The jobs that follow from an event; `served` comes with what was found in Redis only.

    Raises NotImplementedError for an event type that nothing reacts to.
    """
    if type(event) in WITH_FOUND:
        return WITH_FOUND[type(event)](event, served or Served(ServedFrom.NOTHING))
    if type(event) in ALONE:
        return ALONE[type(event)](event)
    raise NotImplementedError(f"nothing reacts to {type(event).__name__}")


def _after_recommendation(event: RecommendationServed, found: Served) -> Sequence[Job]:
    age = event.occurred_at - found.generated_at if found.generated_at else None
    if event.owner:
        upkeep = recommendation_upkeep(event, event.owner, found)
    else:
        upkeep = set_upkeep(event, QuestionKind.RECOMMENDATION.value, found)
    return [
        analytics_of(
            event,
            {
                "locale": event.locale,
                "source": found.source.value,
                "answer_version": found.version,
                "answer_age_seconds": age,
                "signed_in": bool(event.owner),
            },
        ),
        audit_of(
            event,
            actor=event.owner,
            subject="",
            outcome=found.source.value,
        ),
        *upkeep,
    ]


def _after_missing(event: RecommendationMissed) -> Sequence[Job]:
    return [RefreshRecommendation(**header(event), user_id=event.user_id)]


def _after_computing(event: RecommendationComputed) -> Sequence[Job]:
    return [WriteRecommendation(**header(event), user_id=event.user_id, items=event.items)]


def _after_interaction(event: InteractionRecorded) -> Sequence[Job]:
    return [
        CountInteraction(
            **header(event),
            interaction=event.interaction,
            item_id=event.item_id,
            user_id=event.user_id,
            value=event.value,
        ),
        analytics_of(
            event,
            {
                "interaction": event.interaction.value,
                "item_id": event.item_id,
                "user": event.user_id,
                "value": event.value,
            },
        ),
    ]


def _after_feedback(event: FeedbackGiven) -> Sequence[Job]:
    return [
        analytics_of(
            event,
            {
                "answer_event_id": event.answer_event_id,
                "signal": event.signal,
                "comment": event.comment or None,
                "user": event.owner,
            },
        ),
        audit_of(
            event,
            actor=event.owner,
            subject=event.answer_event_id,
            outcome=event.signal,
        ),
    ]


def _after_change_of_features(event: FeaturesChanged) -> Sequence[Job]:
    return [
        SyncFeatures(
            **header(event),
            user_id=event.user_id,
            group=event.group,
            deleted_at=event.deleted_at,
        )
    ]


WITH_FOUND: Mapping[type[Event], Callable[[Any, Served], Sequence[Job]]] = {
    AnswerServed: after_answer,
    QuestionTaken: after_question,
    RecommendationServed: _after_recommendation,
}
"""The events that come with what was found in Redis."""
ALONE: Mapping[type[Event], Callable[[Any], Sequence[Job]]] = {
    AnswerCompleted: after_completion,
    InteractionRecorded: _after_interaction,
    FeedbackGiven: _after_feedback,
    AnswerFoundDamaged: after_damage,
    FeaturesChanged: _after_change_of_features,
    RecommendationComputed: _after_computing,
    RecommendationMissed: _after_missing,
    AnswerGenerated: after_model,
    AnswerUnkept: after_unkept,
}
