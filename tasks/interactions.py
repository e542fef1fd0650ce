"""Counts what customers do with titles, and remembers it of those customers."""

from collections.abc import Sequence

from config import recommendations
from domain.jobs import CountInteraction
from domain.ports import Ports
from tasks.performs import performs


@performs(CountInteraction)
def count_interactions(jobs: Sequence[CountInteraction], ports: Ports) -> None:
    """Count each event once, remember it of its user, and have what follows made anew.

    Those older than the trending window are not counted.
    """
    kind, counted = CountInteraction.kind, ports.counts.count(jobs)
    ports.hot_users.note(jobs)
    if counted.duplicates:
        ports.metrics.count("duplicates_total", counted.duplicates, kind=kind)
    if counted.applied:
        ports.metrics.count("events_total", counted.applied, kind=kind, outcome="applied")
    if counted.expired:
        ports.metrics.count("events_total", counted.expired, kind=kind, outcome="expired")
    if counted.damaged:
        ports.metrics.count("redis_keys_damaged_total", counted.damaged, key="trend")
    # Only now: whoever makes a recommendation anew is to find what was noted.
    users = {job.user_id for job in jobs if job.user_id}
    ports.recommendations.mark(users, ports.clock() + recommendations.declared().debounce_seconds)
