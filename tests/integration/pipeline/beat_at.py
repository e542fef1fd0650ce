"""Beat by a clock that stands still at BEAT_TEST_NOW: no tick ends while a test looks at it."""

import os
import sys
from functools import partial

from workers import beat


def main() -> int:
    """Beat until a signal."""
    now = float(os.environ["BEAT_TEST_NOW"])
    beat.TickScheduler = partial(beat.TickScheduler, clock=lambda: now)  # type: ignore[assignment,misc]
    return beat.main()


if __name__ == "__main__":
    sys.exit(main())
