"""When a worker leaves a queue alone because what its jobs need is down, and when it tries again.

Some packs of a kind in a row that meet the same dependency down pause the queue. Once it answers,
single packs are tried: one that ends otherwise lets the queue go on, one that meets it down again
pauses the queue for longer. Pure: knows no queue, no message and no clock.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

MAX_DOUBLINGS = 16


@dataclass(frozen=True, slots=True)
class PauseRules:
    """After how many failures in a row, and how long until the dependency is asked."""

    after_failures: int
    base_seconds: float
    cap_seconds: float


class State(Enum):
    """What a worker does with a queue."""

    RUNNING = auto()
    PAUSED = auto()
    TRYING = auto()
    """The dependency answers: one pack at a time."""


@dataclass(slots=True)
class Pause:
    """One queue; `dependency` is the one that was down last."""

    rules: PauseRules
    jitter: Callable[[float, float], float] = random.uniform
    state: State = State.RUNNING
    dependency: str = ""
    _in_a_row: dict[str, int] = field(default_factory=dict)
    _asked: int = 0
    _others: int = 0

    def failed(self, kind: str, dependency: str) -> bool:
        """Note a pack that met a dependency down; whether the queue pauses from now on."""
        if dependency != self.dependency:
            self._in_a_row.clear()
        self.dependency = dependency
        self._in_a_row[kind] = self._in_a_row.get(kind, 0) + 1
        if self.state is State.PAUSED:
            return False
        if self.state is State.RUNNING and self._in_a_row[kind] < self.rules.after_failures:
            return False
        self.state = State.PAUSED
        self._others = 0
        return True

    def ended(self, kind: str) -> bool:
        """Note a pack that ended in any other way; whether the queue goes on from now on."""
        met_it = self._in_a_row.pop(kind, None) is not None
        if self.state is State.RUNNING:
            return False
        # A kind that did not meet the dependency may not need it, and says little of it.
        self._others += not met_it and self.state is State.TRYING
        if not met_it and self._others < self.rules.after_failures:
            return False
        self.state = State.RUNNING
        self._in_a_row.clear()
        self._asked = self._others = 0
        return True

    def answered(self) -> None:
        """Note that the dependency answers."""
        if self.state is State.PAUSED:
            self.state = State.TRYING

    def wait_seconds(self) -> float:
        """How long to wait before the dependency is asked next; longer each time."""
        self._asked += 1
        bound = self.rules.base_seconds * 2.0 ** min(self._asked, MAX_DOUBLINGS)
        return self.jitter(self.rules.base_seconds, min(self.rules.cap_seconds, bound))
