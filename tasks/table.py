"""Every task there is, by the kind of its jobs; a new module of tasks is named here."""

from tasks import (
    analytics,
    audit,
    cache,
    dead_letters,
    endpoints,
    features,
    guardrails,
    interactions,
    precompute,
    preferences,
    recommendations,
    responses,
    sessions,
)
from tasks.performs import REGISTERED as TASKS

__all__ = [
    "TASKS",
    "analytics",
    "audit",
    "cache",
    "dead_letters",
    "endpoints",
    "features",
    "guardrails",
    "interactions",
    "precompute",
    "preferences",
    "recommendations",
    "responses",
    "sessions",
]
