"""Remembers what customers turn out to prefer."""

from collections.abc import Sequence

from domain.jobs import NotePreference
from domain.ports import Ports
from tasks.performs import performs


@performs(NotePreference)
def note_preferences(jobs: Sequence[NotePreference], ports: Ports) -> None:
    """Remember all of them at once."""
    ports.preferences.note(jobs)
    ports.metrics.count("events_total", len(jobs), kind=NotePreference.kind, outcome="applied")
