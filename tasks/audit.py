"""Keeps the audit trail."""

from collections.abc import Sequence

from domain.errors import Transient
from domain.jobs import AppendAudit
from domain.ports import Ports
from tasks.performs import performs, unless_taken


@performs(AppendAudit)
def append_audit(jobs: Sequence[AppendAudit], ports: Ports) -> None:
    """Append every line; those that were not taken come again with their pack."""
    left = ports.audit.append(jobs)
    ports.metrics.count(
        "events_total", len(jobs) - len(left), kind=AppendAudit.kind, outcome="sent"
    )
    unless_taken(left, Transient)
