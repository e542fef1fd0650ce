"""Events with a number in their id, so that a sink can tell which one it was given.

Knows the product's events and jobs as its domain declares them, and nothing of how they travel.
"""

import time

from domain.events import AnswerServed, InteractionRecorded, InteractionType
from domain.jobs import EmitAnalytics

PRODUCER = "bench"

_PREFIX = "018f0000-0000-7000-8000-"


def event_id(number: int) -> str:
    """A UUID that ends in the number."""
    return f"{_PREFIX}{number:012x}"


def number_of(identifier: str) -> int:
    """The number in an event id."""
    return int(identifier[len(_PREFIX) :], 16)


def analytics_job(number: int) -> EmitAnalytics:
    """The job that one view of a title leads to."""
    return EmitAnalytics(
        event_id=event_id(number),
        producer=PRODUCER,
        seq=number,
        occurred_at=time.time(),
        type=InteractionRecorded.type,
        attributes={
            "interaction": InteractionType.VIEW.value,
            "item_id": f"title-{number % 300}",
            "user": f"user-{number % 1000}",
            "value": None,
        },
    )


def question(number: int) -> AnswerServed:
    """A question of one of a hundred sessions; every fourth one looks a title up."""
    is_title = number % 4 == 0
    return AnswerServed(
        event_id=event_id(number),
        occurred_at=time.time(),
        producer=PRODUCER,
        seq=number,
        session_id=f"session-{number % 100}",
        owner=f"user-{number % 100}",
        message_id=event_id(number),
        question="ワンピース 最新刊" if is_title else "今週の人気",
        kind="title" if is_title else "trending",
        slug=f"title-{number % 300}" if is_title else "",
        locale="ja",
    )
