"""What became of a conditional write."""

from enum import Enum


class Written(Enum):
    """What became of a write that carries a version."""

    APPLIED = 1
    ALREADY_APPLIED = 2
    """This very version is there: the same write came before."""
    SUPERSEDED = 3
    """A newer version is there."""
    RETRACTED = 4
    """Its content failed a check and must not be there."""
