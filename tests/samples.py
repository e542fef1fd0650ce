"""Made-up titles, jobs and answers that tests share."""

from collections.abc import Mapping, Sequence
from itertools import count

from domain.answers import Answer, AnswerKey, StoredAnswer, store
from domain.catalogue import Title
from domain.events import InteractionType
from domain.jobs import AppendAudit, CountInteraction, EmitAnalytics, UpdateSession
from domain.response_cache import (
    PUBLIC,
    Asked,
    Generated,
    Lifetimes,
    Scope,
    StoredResponse,
    respond,
)
from domain.sessions import Turn
from domain.trending import Rule
from tests.fakes import NOW

HOUR, DAY = 3600.0, 86_400.0

RULE = Rule(
    weights={
        InteractionType.VIEW: 1,
        InteractionType.LOOKUP: 1,
        InteractionType.READ: 2,
        InteractionType.CART: 3,
        InteractionType.PURCHASE: 5,
    },
    rating_weight_per_star=0.5,
    half_life_seconds=DAY,
    window_seconds=7 * DAY,
    bucket_seconds=3600,
    min_visitors=3,
)
_numbers = count()


def title(title_id: str, popularity: int | None = None, **others: object) -> Title:
    return Title(
        id=title_id,
        title=f"Title {title_id}",
        title_ja=f"題{title_id}",
        popularity=popularity,
        **others,  # type: ignore[arg-type]
    )


def interaction(
    item_id: str,
    occurred_at: float = NOW,
    event_id: str | None = None,
    kind: InteractionType = InteractionType.VIEW,
    value: float | None = None,
    *,
    user_id: str = "",
) -> CountInteraction:
    return CountInteraction(
        event_id=event_id or f"event-{next(_numbers)}",
        producer="test",
        seq=0,
        occurred_at=occurred_at,
        interaction=kind,
        item_id=item_id,
        user_id=user_id,
        value=value,
    )


def analytics(event_id: str, occurred_at: float = NOW) -> EmitAnalytics:
    return EmitAnalytics(
        event_id=event_id,
        producer="test",
        seq=0,
        occurred_at=occurred_at,
        type="answer.served",
        attributes={"kind": "trending", "signed_in": True, "age": 1.5, "nothing": None},
    )


def audit(event_id: str, occurred_at: float = NOW) -> AppendAudit:
    return AppendAudit(
        event_id=event_id,
        producer="test",
        seq=0,
        occurred_at=occurred_at,
        action="answer.served",
        actor="user-1",
        subject="session-1",
        outcome="precomputed",
    )


def turn(event_id: str, at: float = NOW, question: str = "今週の人気は？") -> Turn:
    return Turn(event_id, f"message-{event_id}", question, "直近の人気です。", at)


def session_update(
    event_id: str, session_id: str, owner: str = "u", at: float = NOW
) -> UpdateSession:
    return UpdateSession(
        event_id=event_id,
        producer="test",
        seq=0,
        occurred_at=at,
        session_id=session_id,
        owner=owner,
        message_id=f"message-{event_id}",
        question="q",
        answer_preview="a",
    )


def answer(key: AnswerKey, version: int, text: str = "text", now: float = NOW) -> StoredAnswer:
    return store(
        Answer(key, text, []), version=version, now=now, ttl_seconds=60, hard_ttl_seconds=600
    )


LIFETIMES = Lifetimes(ttl=3600, jitter=240, negative_ttl=60, hard_ttl=36_000)


def asked(
    question: str = "What is a good manga about cooking?",
    scope: Scope = PUBLIC,
    context: str = "",
    **others: str,
) -> Asked:
    parts = {"kind": "chat", "model": "m-1", "prompt_version": "7", "catalogue": "c-1"} | others
    return Asked(scope=scope, locale="en", question=question, context=context, **parts)


def response(
    text: str = "Try Food Wars!",
    *,
    of: Asked | None = None,
    now: float = NOW,
    took: float = 1.5,
    after: int = 0,
    items: Sequence[Mapping[str, object]] = (),
    chunks: Sequence[int] = (4, 5, 5),
    is_negative: bool = False,
) -> StoredResponse:
    return respond(
        of or asked(),
        Generated(text, items, chunks, is_negative),
        started=now - took,
        now=now,
        lifetimes=LIFETIMES,
        chance=0.0,
        after=after,
    )
