"""What is to be done: the messages between the relay, the queues and the workers.

A job is named in the imperative. Jobs of one kind travel together in a *pack*, which is one SQS
message and one Celery task. Which queue a kind goes to is a row of `config/queues.toml`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from domain.events import InteractionType, Locale

MAX_PACK_BYTES = 190 * 1024
"""In base64 a third more, so that a full pack and its envelope fit into a message of 256 KiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What every job carries; `event_id` is the event that it follows from."""

    kind: ClassVar[str]
    version: ClassVar[int] = 1

    event_id: str
    producer: str
    seq: int
    occurred_at: float
    traceparent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateSession(Job):
    """Add one turn to a session that `owner` opened (or opens by this).

    `answer_id` names the answer where it is the model's.
    """

    kind: ClassVar[str] = "session.update"

    session_id: str
    owner: str
    message_id: str
    question: str
    answer_preview: str
    answer_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmitAnalytics(Job):
    """Send one record to the analytics stream.

    `attributes` holds no free text of the user, but for the comment of a feedback, which is given
    to be read.
    """

    kind: ClassVar[str] = "analytics.emit"

    type: str
    attributes: Mapping[str, str | int | float | bool | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendAudit(Job):
    """Append one line to the audit log; it says who did what when, never what was said."""

    kind: ClassVar[str] = "audit.append"

    action: str
    actor: str
    subject: str
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CountInteraction(Job):
    """Count one interaction with a title for trending, once for each event id of a user.

    Event ids come from clients: two users may choose the same one. All look-ups of a title by one
    visitor have the same.
    """

    kind: ClassVar[str] = "interaction.count"

    interaction: InteractionType
    item_id: str
    user_id: str = ""
    value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotePreference(Job):
    """Remember the language, and the genre if it was one, that a customer asked in and for."""

    kind: ClassVar[str] = "preference.note"

    user_id: str
    locale: Locale
    genre: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteAnswer(Job):
    """Write one answer to the cache that a customer asked for and that was not there."""

    kind: ClassVar[str] = "cache.write"

    answer_kind: str
    slug: str
    locale: Locale


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecomputeAnswers(Job):
    """Compute and publish the whole set of answers of one kind.

    `tick` is the start of a schedule's period, in epoch seconds: a second job of the same tick
    does nothing, also after the period was changed. It is None where somebody asked for a
    refresh, which is then always done. `stale_version` is
    set where a reader saw a stale answer: the job does nothing if a newer one is published.
    """

    kind: ClassVar[str] = "answers.precompute"

    answer_kind: str
    tick: int | None = None
    stale_version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRecommendation(Job):
    """Write what the model said while a user waited, so that the next request finds it."""

    kind: ClassVar[str] = "recommendation.write"

    user_id: str
    items: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshRecommendation(Job):
    """Have a user's recommendation made anew, soon and once, however many jobs ask for it."""

    kind: ClassVar[str] = "recommendation.refresh"

    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecomputeRecommendations(Job):
    """Make the recommendations that are due anew.

    `tick` is the start of a schedule's period, in epoch seconds: one that is over does nothing.
    """

    kind: ClassVar[str] = "recommendations.precompute"

    tick: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryDeadLetters(Job):
    """Look at the dead letters and send again, split or park what is due.

    `tick` is the start of a schedule's period, in epoch seconds: one that is over does nothing. It
    is None where somebody asked for a run.
    """

    kind: ClassVar[str] = "dead_letters.retry"

    tick: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncFeatures(Job):
    """Bring a user's features up to date with the feature store.

    Where `group` was deleted at `deleted_at` (epoch seconds), the store itself no longer tells.
    """

    kind: ClassVar[str] = "features.sync"

    user_id: str
    group: str = ""
    deleted_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepFeatures(Job):
    """Go on bringing everybody's features up to date, from where the job before stopped.

    `tick` is as in `RetryDeadLetters`.
    """

    kind: ClassVar[str] = "features.sweep"

    tick: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckEndpoints(Job):
    """Look at the network path to every watched service; `tick` is as in RetryDeadLetters."""

    kind: ClassVar[str] = "endpoints.check"

    tick: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFeatures(Job):
    """Compare some users' features with the feature store, and repair what differs."""

    kind: ClassVar[str] = "features.check"

    tick: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteResponse(Job):
    """Keep an answer of the model in the response cache for as long as it says."""

    kind: ClassVar[str] = "response.write"

    response_key: str
    stored: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckAnswer(Job):
    """Hold an answer of the model against the guardrails; take it back where it fails."""

    kind: ClassVar[str] = "answers.check"

    response_key: str
    stored: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckUnkept(Job):
    """The same for an answer that is cached for nobody."""

    kind: ClassVar[str] = "answers.check_unkept"

    answer_id: str
    text: str
    item_ids: tuple[str, ...]
    locale: Locale
    is_negative: bool


JOB_TYPES: tuple[type[Job], ...] = (
    UpdateSession,
    EmitAnalytics,
    AppendAudit,
    CountInteraction,
    NotePreference,
    WriteAnswer,
    PrecomputeAnswers,
    WriteRecommendation,
    RefreshRecommendation,
    PrecomputeRecommendations,
    RetryDeadLetters,
    SyncFeatures,
    SweepFeatures,
    CheckFeatures,
    WriteResponse,
    CheckAnswer,
    CheckUnkept,
    CheckEndpoints,
)
"""Every kind of job there is; a guard test compares it with queues and registered tasks."""
