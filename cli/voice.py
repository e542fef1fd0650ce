"""What a stack tells: to people on stdout, and all of it with the time to a log.

How far it is stands in the last line of a terminal, and is written over. That one of them can't be
written ends nothing: children must be looked after all the same.
"""

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Iterator
from typing import IO

from cli import output

_LINE_START = "\r\x1b[K"
"""Goes to the beginning of a terminal's line and empties it."""


class Voice:
    """The lines of one run; `began` is monotonic."""

    def __init__(self, log: IO[str], began: float) -> None:
        self._log = log
        self._began = began
        self._shown = False

    @property
    def is_seen(self) -> bool:
        """Whether there is a terminal that shows how far it is."""
        return sys.stdout.isatty()

    @property
    def passed_seconds(self) -> float:
        """The time since the run began."""
        return time.monotonic() - self._began

    def show(self, line: str) -> None:
        """Put this into the last line of a terminal; nothing elsewhere."""
        if self.is_seen:
            columns = shutil.get_terminal_size().columns
            self._rewrite(line if len(line) < columns else f"{line[: columns - 2]}…")
            self._shown = bool(line)

    def say(self, line: str) -> None:
        """Tell people, and the log."""
        self.note(line)
        if self._shown:
            self.show("")
        with _if_anybody_reads():
            output.line(line)

    def note(self, line: str) -> None:
        """Tell the log."""
        passed = self.passed_seconds
        with contextlib.suppress(OSError):  # a full disk, for one
            self._log.write(f"{time.strftime('%H:%M:%S')} +{passed:.2f} s {line}\n")
            self._log.flush()

    def _rewrite(self, line: str) -> None:
        with _if_anybody_reads():
            sys.stdout.write(f"{_LINE_START}{line}")
            sys.stdout.flush()


@contextlib.contextmanager
def _if_anybody_reads() -> Iterator[None]:
    try:
        yield
    except OSError:  # nobody does any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
