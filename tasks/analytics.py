"""Sends what happened to the analytics stream."""

from collections.abc import Sequence

from domain.errors import Transient
from domain.jobs import EmitAnalytics
from domain.ports import Ports
from tasks.performs import performs, unless_taken


@performs(EmitAnalytics)
def emit_analytics(jobs: Sequence[EmitAnalytics], ports: Ports) -> None:
    """Send every record; those that were not taken come again with their pack."""
    left = ports.analytics.put(jobs)
    ports.metrics.count(
        "events_total", len(jobs) - len(left), kind=EmitAnalytics.kind, outcome="sent"
    )
    unless_taken(left, Transient)
