"""What happened: the facts that the request path hands over through the outbox.

An event is named in the past and is never changed. What follows from one is in
`domain/reactions.py`; how one is encoded is in `adapters/msgpack_wire.py`. Ids that follow from
what happened are in `domain/event_ids.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Literal

Locale = Literal["ja", "en"]

ANONYMOUS = ""
"""The owner of what somebody without a token did."""


class InteractionType(StrEnum):
    """What a customer did with a title; `lookup` is ours, the others arrive at /v1/events."""

    VIEW = "view"
    CART = "cart"
    PURCHASE = "purchase"
    READ = "read"
    RATING = "rating"
    LOOKUP = "lookup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What every event carries.

    `event_id` is a UUID; the same fact has the same id however often it is sent. `occurred_at`
    is in epoch seconds by the producer's clock. `seq` counts a producer's events without a gap.
    """

    type: ClassVar[str]
    version: ClassVar[int] = 1
    added: ClassVar[Mapping[str, int]] = {}
    """The version that first had a field, of those that not every version has: with a default."""
    is_audited: ClassVar[bool] = False
    """Whether the audit trail owes it a line: such an event is never shed."""

    event_id: str
    occurred_at: float
    producer: str
    seq: int
    traceparent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerServed(Event):
    """A question was answered.

    What was found in Redis is not part of it: the outbox entry carries that beside the event
    (`Served`), because the event is written in the same round trip as the answer is read.
    """

    type: ClassVar[str] = "answer.served"
    is_audited: ClassVar[bool] = True

    session_id: str
    owner: str
    message_id: str
    question: str
    kind: str
    slug: str
    locale: Locale


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionTaken(AnswerServed):
    """A question was taken, and answered only where its own answer was found with it.

    Otherwise an `AnswerCompleted` follows, once there is an answer. `catalogue` is the version of
    what a user's own answer may name; one that was made of another was not given as it was found.
    """

    type: ClassVar[str] = "question.taken"
    version: ClassVar[int] = 2
    added: ClassVar[Mapping[str, int]] = {"catalogue": 2}

    catalogue: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerCompleted(Event):
    """A question of a `QuestionTaken` was answered; `asked_event_id` and `asked_at` are that one's.

    `source` is the API's, `rung` the step of the ladder that gave the answer, and `answer_id` names
    an answer of the model: it may be taken back.
    """

    type: ClassVar[str] = "answer.completed"
    is_audited: ClassVar[bool] = True

    asked_event_id: str
    asked_at: float
    session_id: str
    owner: str
    message_id: str
    question: str
    locale: Locale
    answer_preview: str
    source: str
    rung: str
    answer_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionRecorded(Event):
    """A customer viewed, read, bought … a title. `value` is the number of stars of a rating."""

    type: ClassVar[str] = "interaction.recorded"

    interaction: InteractionType
    item_id: str
    user_id: str
    value: float | None = None


Signal = Literal["up", "down"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackGiven(Event):
    """A customer said what an answer was worth; `comment` is empty where there was none."""

    type: ClassVar[str] = "feedback.given"
    is_audited: ClassVar[bool] = True

    session_id: str
    owner: str
    answer_event_id: str
    signal: Signal
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFoundDamaged(Event):
    """A stored answer could not be read and was deleted; `damage` is a `domain.answers.Damage`."""

    type: ClassVar[str] = "answer.found_damaged"

    kind: str
    slug: str
    locale: Locale
    damage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturesChanged(Event):
    """A user's record in the feature store was written; or deleted, which only this event tells.

    `deleted_at` is the event time of the deletion, in epoch seconds.
    """

    type: ClassVar[str] = "features.changed"

    user_id: str
    group: str
    deleted_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendationServed(Event):
    """A user was shown what is recommended, outside of any session; comes with a `Served`.

    `catalogue` as of a `QuestionTaken`.
    """

    type: ClassVar[str] = "recommendation.served"
    version: ClassVar[int] = 2
    added: ClassVar[Mapping[str, int]] = {"catalogue": 2}
    is_audited: ClassVar[bool] = True

    owner: str
    locale: Locale
    catalogue: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendationComputed(Event):
    """The model was asked while the user waited: title ids with scores, best first.

    `occurred_at` is when that which they were made of was read.
    """

    type: ClassVar[str] = "recommendation.computed"

    user_id: str
    items: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendationMissed(Event):
    """There was something to go by, but no recommendation while the user waited."""

    type: ClassVar[str] = "recommendation.missed"

    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerGenerated(Event):
    """The model answered, and the answer may be cached.

    `stored` are the bytes to keep under `response_key`, as `adapters/response_wire.py` writes them:
    whoever works on them later needs nothing that might have changed since.
    """

    type: ClassVar[str] = "answer.generated"

    response_key: str
    stored: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerUnkept(Event):
    """The model gave an answer that is cached for nobody; it is checked all the same."""

    type: ClassVar[str] = "answer.unkept"

    answer_id: str
    text: str
    item_ids: tuple[str, ...]
    locale: Locale
    is_negative: bool


class ServedFrom(StrEnum):
    """Which stored answer the request path found in its one round trip."""

    PRECOMPUTED = "precomputed"
    FALLBACK = "fallback"
    NOTHING = "nothing"
    CACHE = "cache"
    """A response of the model that was kept."""
    OUTDATED = "stale"
    """The user's own, of another catalogue: the titles that this one has, else one made at once."""
    PENDING = "pending"
    """None yet: an `AnswerCompleted` will tell."""


@dataclass(frozen=True, slots=True)
class Served:
    """What the request path found for an `AnswerServed`; times are epoch seconds."""

    source: ServedFrom
    version: int = 0
    generated_at: float = 0.0
    soft_expires_at: float = 0.0
    preview: str = ""
    answer_id: str = ""
    """Of what the model answered, where it is the model's."""

    def stale_at(self, when: float) -> bool:
        """Whether the answer was past its soft expiry at that time."""
        return self.source is ServedFrom.PRECOMPUTED and when > self.soft_expires_at


EVENT_TYPES: tuple[type[Event], ...] = (
    AnswerServed,
    QuestionTaken,
    AnswerCompleted,
    InteractionRecorded,
    FeedbackGiven,
    AnswerFoundDamaged,
    FeaturesChanged,
    RecommendationServed,
    RecommendationComputed,
    RecommendationMissed,
    AnswerGenerated,
    AnswerUnkept,
)
"""Every type of event there is; a guard test checks that something reacts to each."""
