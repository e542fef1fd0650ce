"""What is kept of what customers do: counts, preferences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from domain.jobs import CountInteraction, NotePreference


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


class PreferenceNotes(Protocol):
    """What customers turn out to prefer, where the request path reads it."""

    def note(self, preferences: Sequence[NotePreference]) -> None:
        """Remember what these customers asked for, in whatever order they are told."""
        ...
