"""Keeps the audit trail."""

from collections.abc import Sequence

from domain.errors import MangaAssistError, Permanent, Transient
from domain.jobs import AppendAudit
from domain.ports import TOO_OLD, Ports
from tasks.performs import performs, unless_taken


@performs(AppendAudit)
def append_audit(jobs: Sequence[AppendAudit], ports: Ports) -> None:
    """Append every line; those that were not taken come again, or are parked if they never will."""
    left = ports.audit.append(jobs)
    ports.metrics.count(
        "events_total", len(jobs) - len(left), kind=AppendAudit.kind, outcome="sent"
    )
    unless_taken(left, _error)


def _error(reason: str) -> MangaAssistError:
    """A line that is too old today is so tomorrow; one that is too new only has to wait."""
    return Permanent(reason) if reason == TOO_OLD else Transient(reason)
