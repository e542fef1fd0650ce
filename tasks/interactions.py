"""Counts what customers do with titles, and remembers it of those customers."""

from collections.abc import Sequence

from domain.jobs import CountInteraction
from domain.ports import Ports
from tasks.performs import performs


@performs(CountInteraction)
def count_interactions(jobs: Sequence[CountInteraction], ports: Ports) -> None:
    """Count each event once; those older than the trending window are dropped."""
    kind, counted = CountInteraction.kind, ports.counts.count(jobs)
    ports.hot_users.note(jobs)
    if counted.duplicates:
        ports.metrics.count("duplicates_total", counted.duplicates, kind=kind)
    if counted.applied:
        ports.metrics.count("events_total", counted.applied, kind=kind, outcome="applied")
    if counted.expired:
        ports.metrics.count("events_total", counted.expired, kind=kind, outcome="expired")
