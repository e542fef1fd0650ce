"""When a child that died is started again, and when it is hopeless. Knows no process."""

from dataclasses import dataclass

from cli.failures import USAGE

FIRST_SECONDS = 0.1
LONGEST_SECONDS = 10.0
STEADY_SECONDS = 30.0
"""A child that lived so long starts with a clean slate."""
HOPELESS_DEATHS = 4


@dataclass(slots=True)
class Restarts:
    """The deaths in a row of one child."""

    deaths: int = 0

    def delay_seconds(self, lived_seconds: float) -> float:
        """Note a death; the time to wait before the next start."""
        self.deaths = 1 if lived_seconds >= STEADY_SECONDS else self.deaths + 1
        return min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** (self.deaths - 1))

    def is_hopeless(self, code: int) -> bool:
        """Whether a stack that was never ready should give up over this."""
        return code == USAGE or self.deaths >= HOPELESS_DEATHS
