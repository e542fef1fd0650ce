"""Where answers are published, responses cached, and checks of answers noted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from domain.answers import AnswerKey, StoredAnswer
from domain.events import Locale
from domain.ports.writing import Written
from domain.response_cache import StoredResponse


@dataclass(frozen=True, slots=True)
class PublishedSet:
    """What is known of a published set; `tick` is the start of the last period of beat's done.

    Of no answers: the catalogue gives none of this kind. `catalogue` is the version of the one that
    they were made of; empty where that is not known.
    """

    kind: str
    version: int
    generated_at: float
    tick: int | None
    answers: int
    catalogue: str = ""


class AnswerSets(Protocol):
    """The published answers, one versioned set for each kind."""

    def current(self, kind: str) -> PublishedSet | None:
        """The set being served, or None before the first publication."""
        ...

    def publish(
        self, published: PublishedSet, answers: Mapping[AnswerKey, StoredAnswer]
    ) -> Written:
        """Replace the kind's set at once, unless a version at least as new is there.

        Readers see the old set or the new one, never a mixture and never a gap. The versions
        before are kept for `roll_back`.
        """
        ...

    def withdraw(self, published: PublishedSet, seconds: float) -> Written:
        """Serve no answers of the kind any more, as its newest version, known for so long.

        The versions before are kept for `roll_back`, which does not return to this one.
        """
        ...

    def write(self, key: AnswerKey, answer: StoredAnswer) -> Written:
        """Write one answer beside the set, unless one at least as new is there."""
        ...

    def roll_back(self, kind: str, hold_seconds: float) -> PublishedSet:
        """Serve the version before again and hold scheduled publications for a while.

        Raises Refused where there is no version before.
        """
        ...

    def held(self, kind: str) -> bool:
        """Whether scheduled publications of the kind are held after a rollback."""
        ...

    def release(self, kind: str) -> None:
        """End the hold of a rollback."""
        ...

    def claim(self, kind: str, seconds: float) -> bool:
        """Take the lease on computing the kind; False while somebody else has it."""
        ...

    def unclaim(self, kind: str) -> None:
        """Give the lease back."""
        ...


class Responses(Protocol):
    """The response cache, as workers need it; losing a response costs one computation."""

    def open(self, key: str, stored: bytes) -> StoredResponse:
        """The response in these bytes; raises Malformed unless they were made for this key."""
        ...

    def keep(self, response: StoredResponse, stored: bytes, seconds: float) -> Written:
        """Keep a response for so long, unless one at least as new is there or it was retracted."""
        ...

    def retract(self, response: StoredResponse) -> bool:
        """Take a content back and let nobody keep it again; whether it was still there."""
        ...


@dataclass(frozen=True, slots=True)
class Given:
    """An answer of the model in a turn of a session."""

    answer_id: str
    session_id: str
    event_id: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the check of an answer found; `locale` is the answer's."""

    is_retracted: bool
    locale: Locale


class AnswerChecks(Protocol):
    """Which turns were given answers that are not checked yet, and what the checks found.

    Of a turn that was noted and a verdict that was settled, in whatever order or at once, at least
    one learns of the other. Both are forgotten after a while.
    """

    def note(self, given: Sequence[Given]) -> Mapping[str, Verdict]:
        """Remember these, but for those whose answers are checked: their verdicts by answer id."""
        ...

    def settle(self, answer_id: str, verdict: Verdict) -> Sequence[Given]:
        """Keep a verdict; who was given the answer, where it was taken back."""
        ...
