"""What the work needs of the world, as protocols; `adapters/` implements them.

All ports raise `Transient` for a fault that passes and `Permanent` for one that does not. Unless
it says otherwise, every write is idempotent: the same call again changes nothing.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from typing import Protocol

from domain.answers import AnswerKey, StoredAnswer
from domain.catalogue import Catalogue
from domain.dead_letters import Letter, SendAgain
from domain.endpoint_health import Health, Probe
from domain.errors import MangaAssistError
from domain.events import Locale
from domain.features import GroupRecord, UserFeatures
from domain.jobs import AppendAudit, CountInteraction, EmitAnalytics, NotePreference
from domain.parking import Parked
from domain.recommendations import RecommendationRequest, Recommended
from domain.response_cache import StoredResponse
from domain.sessions import Session, Turn
from domain.tracing import Traces


class Clock(Protocol):
    """Epoch seconds now."""

    def __call__(self) -> float: ...


class Calendar(Protocol):
    """What day it is in the store at a time in epoch seconds."""

    def __call__(self, now: float) -> date: ...


@dataclass(frozen=True, slots=True)
class PublishedSet:
    """What is known of a published set; `tick` is the start of the last period of beat's done."""

    kind: str
    version: int
    generated_at: float
    tick: int | None
    answers: int


class Written(Enum):
    """What became of a write that carries a version."""

    APPLIED = 1
    ALREADY_APPLIED = 2
    """This very version is there: the same write came before."""
    SUPERSEDED = 3
    """A newer version is there."""
    RETRACTED = 4
    """Its content failed a check and must not be there."""


class AnswerSets(Protocol):
    """The published answers, one versioned set for each kind."""

    def current(self, kind: str) -> PublishedSet | None:
        """The set being served, or None before the first publication."""
        ...

    def publish(
        self, published: PublishedSet, answers: Mapping[AnswerKey, StoredAnswer]
    ) -> Written:
        """Replace the kind's set at once, unless a version at least as new is there.

        Readers see the old set or the new one, never a mixture and never a gap. The versions
        before are kept for `roll_back`.
        """
        ...

    def write(self, key: AnswerKey, answer: StoredAnswer) -> Written:
        """Write one answer beside the set, unless one at least as new is there."""
        ...

    def roll_back(self, kind: str, hold_seconds: float) -> PublishedSet:
        """Serve the version before again and hold scheduled publications for a while.

        Raises Refused where there is no version before.
        """
        ...

    def held(self, kind: str) -> bool:
        """Whether scheduled publications of the kind are held after a rollback."""
        ...

    def release(self, kind: str) -> None:
        """End the hold of a rollback."""
        ...

    def claim(self, kind: str, seconds: float) -> bool:
        """Take the lease on computing the kind; False while somebody else has it."""
        ...

    def unclaim(self, kind: str) -> None:
        """Give the lease back."""
        ...


class Responses(Protocol):
    """The response cache, as workers need it; losing a response costs one computation."""

    def open(self, key: str, stored: bytes) -> StoredResponse:
        """The response in these bytes; raises Malformed unless they were made for this key."""
        ...

    def keep(self, response: StoredResponse, stored: bytes, seconds: float) -> Written:
        """Keep a response for so long, unless one at least as new is there or it was retracted."""
        ...

    def retract(self, response: StoredResponse) -> bool:
        """Take a content back and let nobody keep it again; whether it was still there."""
        ...


@dataclass(frozen=True, slots=True)
class Given:
    """An answer of the model in a turn of a session."""

    answer_id: str
    session_id: str
    event_id: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the check of an answer found; `locale` is the answer's."""

    is_retracted: bool
    locale: Locale


class AnswerChecks(Protocol):
    """Which turns were given answers that are not checked yet, and what the checks found.

    Of a turn that was noted and a verdict that was settled, in whatever order or at once, at least
    one learns of the other. Both are forgotten after a while.
    """

    def note(self, given: Sequence[Given]) -> Mapping[str, Verdict]:
        """Remember these, but for those whose answers are checked: their verdicts by answer id."""
        ...

    def settle(self, answer_id: str, verdict: Verdict) -> Sequence[Given]:
        """Keep a verdict; who was given the answer, where it was taken back."""
        ...


@dataclass(frozen=True, slots=True)
class CountOutcome:
    """How many interactions were counted, were there already, or are older than the window.

    `damaged` counters could not be added to and were begun anew: what they had counted is lost.
    """

    applied: int = 0
    duplicates: int = 0
    expired: int = 0
    damaged: int = 0


class InteractionCounts(Protocol):
    """The trending counters."""

    def count(self, interactions: Sequence[CountInteraction]) -> CountOutcome:
        """Count each event id once, however often it comes, into the bucket of its time."""
        ...

    def scores(self, now: float) -> Mapping[str, float]:
        """The trending score of every title with events in the window."""
        ...


class Sessions(Protocol):
    """The conversations, durable."""

    def add_turns(self, session_id: str, owner: str, turns: Sequence[Turn]) -> Session:
        """Add turns in one write, by event id; the session as it is after that.

        Raises OwnedByAnother where the session belongs to another user.
        """
        ...

    def get(self, session_id: str, owner: str) -> Session | None:
        """The session, or None where there is none of that owner."""
        ...

    def summarise(self, session: Session) -> bool:
        """Keep the session's summary, unless one that covers as much is there; whether it is.

        Not either where an answer was taken back meanwhile, which it may speak of.
        """
        ...

    def retract(self, given: Given, note: str) -> Session | None:
        """Put the note in place of the answer; the session after that.

        None where the turn is not there, or has another answer. A turn that was given the answer
        does not get it back, whatever comes later.
        """
        ...

    def reword(self, session: Session) -> bool:
        """Replace the session's summary by another one of the same turns.

        False, and nothing done, where one of other turns is there or another answer was taken back.
        """
        ...


class Summarise(Protocol):
    """Says in few words what turns were about. Raises Transient where it takes a model to."""

    def __call__(self, earlier: str, turns: Sequence[Turn]) -> str:
        """The summary so far with these turns, oldest first, at most 1,200 characters."""
        ...


class SessionCopies(Protocol):
    """What the request path knows of sessions; losing a copy costs one read."""

    def put(self, sessions: Sequence[Session]) -> None:
        """Replace the copies, and renew whose the sessions are."""
        ...

    def restore_owner(self, session_id: str, owner: str) -> None:
        """Make the request path take the session for this owner's, whose it is in `Sessions`."""
        ...


class PreferenceNotes(Protocol):
    """What customers turn out to prefer, where the request path reads it."""

    def note(self, preferences: Sequence[NotePreference]) -> None:
        """Remember what these customers asked for, in whatever order they are told."""
        ...


class AnalyticsStream(Protocol):
    """The stream that analytics consumes; at-least-once, each record carries its event id."""

    def put(self, records: Sequence[EmitAnalytics]) -> Mapping[str, str]:
        """Send records; the event ids of those not taken, each with the reason.

        Raises Transient where none was taken.
        """
        ...


TOO_OLD = "too old"
"""Why an audit log takes a line neither now nor later."""


class AuditLog(Protocol):
    """The audit trail; at-least-once, each line carries its event id."""

    def append(self, lines: Sequence[AppendAudit]) -> Mapping[str, str]:
        """Append lines; the event ids of those not taken, each with the reason."""
        ...


class Parking(Protocol):
    """Where jobs wait for a person; kept for at least 14 days after the last parking."""

    def park(self, parked: Sequence[Parked]) -> Mapping[str, str]:
        """Set aside, each by its id; the ids of those not taken, each with the reason.

        What is parked already keeps its first `parked_at` and gets the new history added.
        """
        ...

    def get(self, parked_id: str) -> Parked | None:
        """One by its id."""
        ...

    def each(self) -> Iterator[Parked]:
        """Everything that is parked, oldest first within a day; what expired is left out."""
        ...

    def remove(self, parked: Parked) -> bool:
        """Forget one as it was read; False where it is gone, or was parked once more since."""
        ...

    def count(self) -> int:
        """How many are parked, about."""
        ...


@dataclass(frozen=True, slots=True)
class Failure:
    """How a message failed when it was allowed no other try."""

    at: float
    line: str


class LastFailures(Protocol):
    """What is remembered of messages that became dead letters; at best, and never raises.

    Losing one costs a line of history and lets a job be sent again a little earlier.
    """

    def note(self, message_id: str, failure: Failure) -> None:
        """Remember how a message failed last, for as long as it can be a dead letter."""
        ...

    def of(self, message_id: str) -> Failure | None:
        """How the message failed last, or None where that is not known."""
        ...


class DeadLetters(Protocol):
    """The dead letters of the queues. What was sent but not deleted will be seen once more."""

    def receive(self, queue: str, hide_seconds: int) -> Sequence[Letter]:
        """Some letters, opened and hidden from others for so long; none where there are none."""
        ...

    def send(self, again: Sequence[tuple[Letter, SendAgain]], now: float) -> Mapping[str, str]:
        """Send jobs to the queues they came from, stamped; the ids of letters not wholly taken."""
        ...

    def delete(self, letters: Sequence[Letter]) -> Mapping[str, str]:
        """Delete letters; the ids of those that are still there, with the reason."""
        ...

    def release(self, letters: Sequence[Letter]) -> None:
        """Show letters to others again at once."""
        ...


@dataclass(frozen=True, slots=True)
class FeatureBatch:
    """What a feature store answered, by user and group.

    `unread` are the users of whom something was not answered, each with the reason: ask again for
    those. `unusable` are the records without an event time that can be understood. A record that
    does not exist, or exists no longer, is in none of them.
    """

    records: Mapping[str, Mapping[str, GroupRecord]]
    unread: Mapping[str, str]
    unusable: Mapping[str, Collection[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IdPage:
    """Some user ids, and what to ask for the next ones with: None where these are the last."""

    user_ids: Sequence[str]
    after: str | None


class FeatureSource(Protocol):
    """The feature store that the features come from."""

    def read(self, user_ids: Sequence[str], groups: Sequence[str]) -> FeatureBatch:
        """The records of these users, of any number, within the store's quotas.

        Raises Transient where nothing was answered at all.
        """
        ...

    def page(self, group: str, after: str | None) -> IdPage:
        """Some of those who have a record in the group; Permanent where the store can't list it."""
        ...


@dataclass(frozen=True, slots=True)
class Merged:
    """A user's features after a write, and what became of each record that was to be written."""

    features: UserFeatures
    written: Mapping[str, Written]


@dataclass(frozen=True, slots=True)
class MergeBatch:
    """What became of each user's write; those that failed, each with the reason."""

    merged: Mapping[str, Merged]
    failed: Mapping[str, MangaAssistError]


class UserCache(Protocol):
    """The merged features of every user, durable; what the read path reads."""

    def merge(self, user_id: str, groups: Mapping[str, GroupRecord]) -> Mapping[str, Written]:
        """Write each group's record, unless a newer one is there; what became of each.

        Groups that are not named keep what they have.
        """
        ...

    def merge_all(self, records: Mapping[str, Mapping[str, GroupRecord]]) -> MergeBatch:
        """`merge` for many users at once, by user; one that fails does not cost the others."""
        ...

    def get(self, user_id: str) -> UserFeatures | None:
        """Everything that is known of a user; None where that is nothing."""
        ...

    def get_all(self, user_ids: Sequence[str]) -> Mapping[str, UserFeatures]:
        """`get` for many users, those of whom nothing is known being left out."""
        ...

    def page(self, after: str | None, limit: int) -> IdPage:
        """Some users who have features, in an order of the cache's own.

        `after` may be any id, also nobody's: a made-up one is a random place to begin.
        """
        ...


@dataclass(frozen=True, slots=True)
class Due:
    """A user whose recommendation is to be made anew, and until when that is one worker's."""

    user_id: str
    until: float


class Recommendations(Protocol):
    """The recommendations that lie ready, and whose are due to be made anew."""

    def put(self, user_id: str, answer: StoredAnswer) -> Written:
        """Replace a user's recommendation, unless one at least as new is there."""
        ...

    def remove(self, user_id: str) -> None:
        """Forget a user's recommendation, of whom nothing is known any more."""
        ...

    def mark(self, user_ids: Collection[str], at: float) -> None:
        """Have these users' made anew at the time, or earlier where they are due earlier."""
        ...

    def take_due(self, limit: int, lease_seconds: float) -> Sequence[Due]:
        """Some who are due, the longest first; nobody else is given them during the lease."""
        ...

    def settle(self, due: Due, next_at: float | None) -> None:
        """End a lease: due again at that time, or not; not for whoever was marked meanwhile."""
        ...

    def count_due(self) -> int:
        """How many are due by now."""
        ...


class Recommender(Protocol):
    """The model behind an endpoint. Raises Transient, within about `seconds`; tries once."""

    def recommend(self, request: RecommendationRequest, seconds: float) -> Sequence[Recommended]:
        """Titles for these tastes, best first."""
        ...


class HotUsers(Protocol):
    """What Redis holds of users who were seen lately; losing it costs a read elsewhere."""

    def put_features(self, users: Sequence[UserFeatures]) -> None:
        """Replace the copies of these users' features, but none by an older one."""
        ...

    def note(self, interactions: Sequence[CountInteraction]) -> None:
        """Remember what these users did, and that they were here."""
        ...

    def note_seen(self, user_ids: Iterable[str]) -> None:
        """Remember that these users were here."""
        ...

    def seen(self, user_ids: Sequence[str]) -> Sequence[str]:
        """Those of these users who were seen lately."""
        ...

    def recent(self, user_id: str) -> Sequence[str]:
        """The ids of the titles that the user did something with lately, newest first."""
        ...


class Bookmarks(Protocol):
    """Where long work has got to, by its name; losing one means to begin that work again."""

    def get(self, name: str) -> str | None:
        """Where it has got to; None where it has not begun."""
        ...

    def put(self, name: str, place: str) -> None:
        """Remember the place."""
        ...

    def remove(self, name: str) -> None:
        """Forget it: the work is done."""
        ...


class EndpointLooks(Protocol):
    """The network paths to the services that `config/endpoints.toml` watches."""

    def probe(self) -> Sequence[Probe]:
        """A look at each, all at the same time; that one fails is what was found."""
        ...

    def endpoint_ids(self) -> Mapping[str, str]:
        """The VPC endpoints that are available, by service."""
        ...


class HealthReports(Protocol):
    """Where the health of endpoints is kept over time; a repeated report counts twice."""

    def put(self, healths: Sequence[Health]) -> None:
        """Report how these are now."""
        ...


class CatalogueStore(Protocol):
    """The one catalogue that every process works with, as versioned snapshots."""

    def version(self) -> str | None:
        """The content hash of the current snapshot; None before the first import."""
        ...

    def load(self) -> Catalogue:
        """The current catalogue; raises Transient before the first import."""
        ...

    def publish(self, catalogue: Catalogue) -> bool:
        """Make this the catalogue; False where it is already."""
        ...


class TaskMetrics(Protocol):
    """What tasks report of their own work; the names are rows of `config/metrics.toml`."""

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        ...

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add a value to a histogram."""
        ...

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything a task may reach for; built once for each process by `adapters.connect`."""

    clock: Clock
    today: Calendar
    answers: AnswerSets
    responses: Responses
    checks: AnswerChecks
    counts: InteractionCounts
    sessions: Sessions
    summarise: Summarise
    session_copies: SessionCopies
    preferences: PreferenceNotes
    analytics: AnalyticsStream
    audit: AuditLog
    parking: Parking
    failures: LastFailures
    dead_letters: DeadLetters
    catalogue: CatalogueStore
    features: FeatureSource
    users: UserCache
    hot_users: HotUsers
    recommendations: Recommendations
    recommender: Recommender
    bookmarks: Bookmarks
    endpoints: EndpointLooks
    health_reports: HealthReports
    metrics: TaskMetrics
    traces: Traces | None = None
    """None where nothing is traced."""
