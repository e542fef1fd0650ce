"""What is to be made anew as somebody asked for it: answers that are missing, stale or damaged."""

from collections.abc import Sequence

from domain.events import AnswerFoundDamaged, AnswerServed, Event, Served, ServedFrom
from domain.job_headers import header
from domain.jobs import Job, PrecomputeAnswers, RefreshRecommendation, WriteAnswer
from domain.questions import QuestionKind


def answer_upkeep(event: AnswerServed, served: Served) -> Sequence[Job]:
    """A missing title is written when asked for; any other missing or stale set is recomputed."""
    if event.kind == QuestionKind.CHAT:
        return []
    if event.kind == QuestionKind.RECOMMENDATION and event.owner:
        return recommendation_upkeep(event, event.owner, served)
    if event.kind != QuestionKind.TITLE:
        return set_upkeep(event, event.kind, served)
    if served.source is not ServedFrom.PRECOMPUTED or served.stale_at(event.occurred_at):
        return [
            WriteAnswer(
                **header(event), answer_kind=event.kind, slug=event.slug, locale=event.locale
            )
        ]
    return []


def set_upkeep(event: Event, kind: str, served: Served) -> Sequence[Job]:
    """A set that is missing or stale is computed."""
    missing = served.source is not ServedFrom.PRECOMPUTED
    if not missing and not served.stale_at(event.occurred_at):
        return []
    version = 0 if missing else served.version
    return [PrecomputeAnswers(**header(event), answer_kind=kind, stale_version=version)]


def recommendation_upkeep(event: Event, owner: str, served: Served) -> Sequence[Job]:
    """A stale one is made anew, and one of another catalogue.

    One that is missing the request path makes, and says so itself.
    """
    if served.source is ServedFrom.NOTHING:
        return set_upkeep(event, QuestionKind.RECOMMENDATION.value, served)
    if served.source is ServedFrom.OUTDATED or served.stale_at(event.occurred_at):
        return [RefreshRecommendation(**header(event), user_id=owner)]
    return []


def after_damage(event: AnswerFoundDamaged) -> Sequence[Job]:
    """What was deleted is made anew, unless a set that is newer than the damage is there."""
    if event.kind == QuestionKind.TITLE:
        return [
            WriteAnswer(
                **header(event), answer_kind=event.kind, slug=event.slug, locale=event.locale
            )
        ]
    # Versions of sets are milliseconds too.
    stale_version = int(event.occurred_at * 1000)
    return [PrecomputeAnswers(**header(event), answer_kind=event.kind, stale_version=stale_version)]
