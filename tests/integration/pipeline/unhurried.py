"""Runs a module of the product without haste: `python -m …unhurried MODULE ARGUMENT…`.

What has to be over within some seconds has the time of a busy machine here: what a relay still
sends when it is asked to stop, and a run over the dead letters.
"""

import runpy
import sys

from tasks import replaying
from workers import relaying

LONG_SECONDS = 45.0


def main() -> None:
    """Become the module."""
    relaying.FLUSH_SECONDS = LONG_SECONDS
    replaying.RUN_SECONDS = LONG_SECONDS
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
