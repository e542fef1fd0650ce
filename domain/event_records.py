"""What is recorded of an event: its line of the analytics stream, its line of the audit log."""

from collections.abc import Mapping

from domain.events import Event
from domain.job_headers import header
from domain.jobs import AppendAudit, EmitAnalytics


def analytics_of(
    event: Event, attributes: Mapping[str, str | int | float | bool | None]
) -> EmitAnalytics:
    """The event's record, with these attributes."""
    return EmitAnalytics(**header(event), type=event.type, attributes=attributes)


def audit_of(event: Event, *, actor: str, subject: str, outcome: str) -> AppendAudit:
    """The event's line: who did it to what, and what came of it."""
    return AppendAudit(
        **header(event), action=event.type, actor=actor, subject=subject, outcome=outcome
    )
