"""What customers did and were told, and what the stores hold afterwards. Plain data.

An event is acknowledged when a customer was told that it is kept: a 200 on a question, a place
among the accepted on an interaction; or when the outbox took what the producer of a feature says.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Effect(StrEnum):
    """What follows from an event, each in a store of its own."""

    TURN = "session turn"
    RECORD = "analytics record"
    LINE = "audit line"
    COUNT = "trending count"


@dataclass(frozen=True, slots=True)
class Said:
    """What a model answered, now or before, to which of the questions."""

    question: str
    text: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A question; `answered_by` names the stored answer and its time, where it came from one."""

    event_id: str
    session_id: str
    message_id: str
    acknowledged: bool
    answered_by: tuple[str, str] | None = None
    said: Said | None = None
    """What a model answered, where one did."""

    effects = (Effect.TURN, Effect.RECORD, Effect.LINE)


@dataclass(frozen=True, slots=True)
class Did:
    """An interaction. No two have the same item and time, so its count can be told from others."""

    event_id: str
    item_id: str
    occurred_at: float
    weight: float
    acknowledged: bool

    effects = (Effect.RECORD, Effect.COUNT)


@dataclass(frozen=True, slots=True)
class Record:
    """A user's record of a feature group."""

    event_time: float
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Changed:
    """What the producer of a feature did to a record, and said in the outbox.

    `record` is what was written, None where it was removed without a word of when. `is_ahead` is
    whether its event time can only be that of a wrong clock.
    """

    event_id: str
    user_id: str
    group: str
    record: Record | None
    is_ahead: bool = False


@dataclass(frozen=True, slots=True)
class StoredTurn:
    """A turn as DynamoDB has it."""

    event_id: str
    session_id: str
    message_id: str


@dataclass(frozen=True, slots=True)
class History:
    """Everything of a run, in the order in which each session's customer asked."""

    asked: Sequence[Asked] = ()
    did: Sequence[Did] = ()
    changed: Sequence[Changed] = ()
    """In the order in which each record was changed."""
    whole: Mapping[str, str] = field(default_factory=dict)
    """What the model answers while nothing is struck, by question."""
    bad: str = ""
    """What the model says while it is struck, whatever it is asked; checked after it was given."""
    may_know_less: bool = False
    """Whether models may be told too little, so that what they say differs and is kept briefly."""

    @property
    def events(self) -> Sequence[Asked | Did]:
        """What customers asked and did."""
        return [*self.asked, *self.did]

    @property
    def acknowledged(self) -> int:
        """How many events somebody was promised."""
        return sum(one.acknowledged for one in self.events) + len(self.changed)


@dataclass(slots=True)
class Observed:
    """What the stores hold of a run."""

    turns: Sequence[StoredTurn] = ()
    """Those of a session in its order."""
    records: Counter[str] = field(default_factory=Counter)
    """By event id."""
    lines: Counter[str] = field(default_factory=Counter)
    """By event id."""
    counts: Counter[tuple[str, float]] = field(default_factory=Counter)
    """Single counts by item and time."""
    sums: Mapping[str, float] = field(default_factory=dict)
    """What trending adds up to for each item."""
    expected_sums: Mapping[str, float] = field(default_factory=dict)
    """What the single counts add up to."""
    parked: Counter[str] = field(default_factory=Counter)
    """Jobs set aside, by event id."""
    features: Mapping[tuple[str, str], Record] = field(default_factory=dict)
    """What is merged, by user and feature group."""
    kept: Sequence[str] = ()
    """The texts of the models' answers that are cached for others, and not just for a moment."""
