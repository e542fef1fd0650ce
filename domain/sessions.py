"""A conversation: turns keyed by event id, so that duplicates and reordering change nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

MAX_TURNS = 50
"""How many turns a session keeps at the most; long ones may fill the store's item earlier."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One question and the beginning of its answer; `at` is in epoch seconds."""

    event_id: str
    message_id: str
    question: str
    answer_preview: str
    at: float


@dataclass(frozen=True, slots=True)
class Session:
    """The turns of one session, which belongs to the user who opened it."""

    session_id: str
    owner: str
    turns: Mapping[str, Turn] = field(default_factory=dict)

    def in_order(self) -> Sequence[Turn]:
        """The turns by time; those of one instant by event id."""
        return sorted(self.turns.values(), key=lambda turn: (turn.at, turn.event_id))

    def with_turns(self, turns: Iterable[Turn]) -> "Session":
        """The session with these turns in it, each event id once."""
        added = {turn.event_id: turn for turn in turns}
        return Session(self.session_id, self.owner, {**added, **self.turns})
