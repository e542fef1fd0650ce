"""What time and what day it is."""

from datetime import date
from typing import Protocol


class Clock(Protocol):
    """Epoch seconds now."""

    def __call__(self) -> float: ...


class Calendar(Protocol):
    """What day it is in the store at a time in epoch seconds."""

    def __call__(self, now: float) -> date: ...
