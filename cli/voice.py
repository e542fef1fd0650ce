"""What a stack tells: to people on stdout, and all of it with the time to a log.

That one of them can't be written ends nothing: children must be looked after all the same.
"""

import contextlib
import os
import sys
import time
from typing import IO

from cli import output


class Voice:
    """The lines of one run; `began` is monotonic."""

    def __init__(self, log: IO[str], began: float) -> None:
        self._log = log
        self._began = began

    def say(self, line: str) -> None:
        """Tell people, and the log."""
        self.note(line)
        try:
            output.line(line)
        except OSError:  # nobody reads it any more
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def note(self, line: str) -> None:
        """Tell the log."""
        passed = time.monotonic() - self._began
        with contextlib.suppress(OSError):  # a full disk, for one
            self._log.write(f"{time.strftime('%H:%M:%S')} +{passed:.2f} s {line}\n")
            self._log.flush()
