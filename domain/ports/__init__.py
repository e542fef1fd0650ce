"""What the work needs of the world, as protocols; `adapters/` implements them.

All ports raise `Transient` for a fault that passes and `Permanent` for one that does not. Unless
it says otherwise, every write is idempotent: the same call again changes nothing.
"""

from dataclasses import dataclass

from domain.ports.answers import AnswerChecks, AnswerSets, Given, PublishedSet, Responses, Verdict
from domain.ports.clocks import Calendar, Clock
from domain.ports.failures import DeadLetters, Failure, LastFailures, Parking
from domain.ports.features import (
    Bookmarks,
    FeatureBatch,
    FeatureSource,
    HotUsers,
    IdPage,
    MergeBatch,
    Merged,
    UserCache,
)
from domain.ports.interactions import CountOutcome, InteractionCounts, PreferenceNotes
from domain.ports.operation import CatalogueStore, EndpointLooks, HealthReports, TaskMetrics
from domain.ports.recommendations import Due, Recommendations, Recommender
from domain.ports.records import TOO_OLD, AnalyticsStream, AuditLog
from domain.ports.sessions import SessionCopies, Sessions, Summarise
from domain.ports.writing import Written
from domain.tracing import Traces

__all__ = [
    "TOO_OLD",
    "AnalyticsStream",
    "AnswerChecks",
    "AnswerSets",
    "AuditLog",
    "Bookmarks",
    "Calendar",
    "CatalogueStore",
    "Clock",
    "CountOutcome",
    "DeadLetters",
    "Due",
    "EndpointLooks",
    "Failure",
    "FeatureBatch",
    "FeatureSource",
    "Given",
    "HealthReports",
    "HotUsers",
    "IdPage",
    "InteractionCounts",
    "LastFailures",
    "MergeBatch",
    "Merged",
    "Parking",
    "Ports",
    "PreferenceNotes",
    "PublishedSet",
    "Recommendations",
    "Recommender",
    "Responses",
    "SessionCopies",
    "Sessions",
    "Summarise",
    "TaskMetrics",
    "UserCache",
    "Verdict",
    "Written",
]


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
