"""A conversation: turns keyed by event id, so that duplicates and reordering change nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

MAX_TURNS = 50
"""How many turns a session keeps at the most; long ones may fill the store's item earlier."""

LAST_TURNS = 5
"""The turns that a prompt has whole, from the second seed; older ones are in the summary."""
SUMMARISED_AT_ONCE = 5
"""How many older turns are waited for before they are summarised: one write more in five."""
UNGUESSABLE_CHARS = 22
"""128 random bits in letters."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One question and the beginning of its answer; `at` is in epoch seconds.

    Without an answer, which comes later, if at all, `answer_preview` is empty. `answer_id` is that
    of the model's answer; once that was taken back, a note stands in its place.
    """

    event_id: str
    message_id: str
    question: str
    answer_preview: str
    at: float
    answer_id: str = ""
    is_retracted: bool = False

    @property
    def place(self) -> str:
        """Where it stands in its session, as text that sorts as `Session.in_order` does."""
        return f"{self.at:021.9f}#{self.event_id}"

    def retracted(self, note: str) -> "Turn":
        """The turn without its answer, which broke a rule, and with this note."""
        return replace(self, answer_preview=note, is_retracted=True)

    def stands_over(self, other: "Turn") -> bool:
        """Whether it says more of the same event: an answer, or that this was taken back."""
        return (self.is_retracted, bool(self.answer_preview)) > (
            other.is_retracted,
            bool(other.answer_preview),
        )


@dataclass(frozen=True, slots=True)
class Session:
    """The turns of one session, which belongs to the user who opened it.

    `summary` says what the turns through the place `summarised_through` were about, also those
    that are not kept any more. A turn that comes later than its summary is not in it. `retractions`
    counts the answers that were taken back, which a summary may have to be made anew for.
    `revision` tells the later of two states, and is no part of what either says.
    """

    session_id: str
    owner: str
    turns: Mapping[str, Turn] = field(default_factory=dict)
    summary: str = ""
    summarised_through: str = ""
    retractions: int = 0
    revision: int = field(default=0, compare=False)

    def in_order(self) -> Sequence[Turn]:
        """The turns by time; those of one instant by event id."""
        return sorted(self.turns.values(), key=lambda turn: (turn.at, turn.event_id))

    def with_turns(self, turns: Iterable[Turn]) -> "Session":
        """The session with these turns in it, each event id once; see `once`."""
        return replace(self, turns=once([*self.turns.values(), *turns]))

    def last(self) -> "Session":
        """The session with no more than its last turns, and the summary."""
        return replace(self, turns={turn.event_id: turn for turn in self.in_order()[-LAST_TURNS:]})

    def to_summarise(self) -> Sequence[Turn]:
        """The turns that the summary is to cover next, oldest first; none while they are few."""
        older = [
            turn for turn in self.in_order()[:-LAST_TURNS] if turn.place > self.summarised_through
        ]
        return older if len(older) >= SUMMARISED_AT_ONCE else []


def once(turns: Iterable[Turn]) -> Mapping[str, Turn]:
    """These turns by event id: of several with the same, one whose answer was taken back.

    Else the first that has an answer.
    """
    kept: dict[str, Turn] = {}
    for turn in turns:
        known = kept.get(turn.event_id)
        if known is None or turn.stands_over(known):
            kept[turn.event_id] = turn
    return kept


def is_anybodys(session_id: str, owner: str) -> bool:
    """Whether others may talk in this session too: who is not signed in may have guessed its id."""
    return not owner and len(session_id) < UNGUESSABLE_CHARS
