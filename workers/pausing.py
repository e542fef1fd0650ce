"""When a worker leaves a queue alone because what its jobs need is down, and when it tries again.

Some packs of a kind in a row that meet a dependency down, be it each another, pause the queue. Once
those answer, single packs are tried: one that ends otherwise lets the queue go on, one that meets
one down again pauses the queue for longer. Pure: knows no queue, no message and no clock.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

MAX_DOUBLINGS = 16


@dataclass(frozen=True, slots=True)
class PauseRules:
    """After how many failures in a row, and how long until the dependencies are asked."""

    after_failures: int
    base_seconds: float
    cap_seconds: float


class State(Enum):
    """What a worker does with a queue."""

    RUNNING = auto()
    PAUSED = auto()
    TRYING = auto()
    """The dependencies answer: one pack at a time."""


@dataclass(slots=True)
class Pause:
    """One queue; `dependencies` are those that it paused for last."""

    rules: PauseRules
    jitter: Callable[[float, float], float] = random.uniform
    state: State = State.RUNNING
    dependencies: Sequence[str] = ()
    _in_a_row: dict[str, Counter[str]] = field(default_factory=dict)
    """Of each kind, how often it met which dependency down since it last ended otherwise."""
    _asked: int = 0
    _others: int = 0

    def failed(self, kind: str, dependency: str) -> bool:
        """Note a pack that met a dependency down; whether the queue pauses from now on."""
        row = self._in_a_row.setdefault(kind, Counter())
        row[dependency] += 1
        if self.state is State.PAUSED:
            return False
        if self.state is State.RUNNING and row.total() < self.rules.after_failures:
            return False
        # A trial says which is down now; what was down before has answered since.
        self.dependencies = tuple(row) if self.state is State.RUNNING else (dependency,)
        self.state = State.PAUSED
        self._others = 0
        return True

    def ended(self, kind: str) -> bool:
        """Note a pack that ended in any other way; whether the queue goes on from now on."""
        met_it = self._in_a_row.pop(kind, None) is not None
        if self.state is State.RUNNING:
            return False
        # A kind that met none down may need none of them, and says little of them.
        self._others += not met_it and self.state is State.TRYING
        if not met_it and self._others < self.rules.after_failures:
            return False
        self.state = State.RUNNING
        self._in_a_row.clear()
        self._asked = self._others = 0
        return True

    def answered(self) -> None:
        """Note that the dependencies answer."""
        if self.state is State.PAUSED:
            self.state = State.TRYING

    def wait_seconds(self) -> float:
        """How long to wait before they are asked next; longer each time."""
        self._asked += 1
        bound = self.rules.base_seconds * 2.0 ** min(self._asked, MAX_DOUBLINGS)
        return self.jitter(self.rules.base_seconds, min(self.rules.cap_seconds, bound))
