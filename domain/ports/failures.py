"""Where what failed is seen: parked jobs, last failures, dead letters."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from domain.dead_letters import Letter, SendAgain
from domain.parking import Parked


class Parking(Protocol):
    """Where jobs wait for a person; kept for at least 14 days after the last parking."""

    def park(self, parked: Sequence[Parked]) -> Mapping[str, str]:
        """Set aside, each by its id; the ids of those not taken, each with the reason.

        What is parked already keeps its first `parked_at` and gets the new history added.
        """
        ...

    def get(self, parked_id: str) -> Parked | None:
        """One by its id."""
        ...

    def each(self) -> Iterator[Parked]:
        """Everything that is parked, oldest first within a day; what expired is left out."""
        ...

    def remove(self, parked: Parked) -> bool:
        """Forget one as it was read; False where it is gone, or was parked once more since."""
        ...

    def count(self) -> int:
        """How many are parked, about."""
        ...


@dataclass(frozen=True, slots=True)
class Failure:
    """How a message failed when it was allowed no other try."""

    at: float
    line: str


class LastFailures(Protocol):
    """What is remembered of messages that became dead letters; at best, and never raises.

    Losing one costs a line of history and lets a job be sent again a little earlier.
    """

    def note(self, message_id: str, failure: Failure) -> None:
        """Remember how a message failed last, for as long as it can be a dead letter."""
        ...

    def of(self, message_id: str) -> Failure | None:
        """How the message failed last, or None where that is not known."""
        ...


class DeadLetters(Protocol):
    """The dead letters of the queues. What was sent but not deleted will be seen once more."""

    def receive(self, queue: str, hide_seconds: int) -> Sequence[Letter]:
        """Some letters, opened and hidden from others for so long; none where there are none."""
        ...

    def send(self, again: Sequence[tuple[Letter, SendAgain]], now: float) -> Mapping[str, str]:
        """Send jobs to the queues they came from, stamped; the ids of letters not wholly taken."""
        ...

    def delete(self, letters: Sequence[Letter]) -> Mapping[str, str]:
        """Delete letters; the ids of those that are still there, with the reason."""
        ...

    def release(self, letters: Sequence[Letter]) -> None:
        """Show letters to others again at once."""
        ...
