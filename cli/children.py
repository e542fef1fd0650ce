"""Child processes of the embedded stack: how one is started, and that none outlives the stack.

Each child leads a session of its own, so that a Ctrl-C reaches only the supervisor and a signal to
its group reaches everything that it started. On Linux the kernel kills it when the supervisor dies.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_SET_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of linux/prctl.h."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What to run. `address` is where it listens once it is up: a port, and a path for HTTP."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    port: int
    path: str | None = None
    what: str = ""
    """For the table of what runs."""
    stop_stage: int = 0
    """Stages stop one after the other, the lowest first."""
    stop_seconds: float = 3.0
    is_remembering: bool = True
    """Whether its state survives a restart."""


class Child:
    """One process at a time of a Spec."""

    def __init__(self, spec: Spec, log: Path, directory: Path) -> None:
        self.spec = spec
        self.log = log
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0

    @property
    def pid(self) -> int | None:
        """The process's id, None before the first start."""
        return self._process.pid if self._process else None

    @property
    def lived_seconds(self) -> float:
        """The time since it was started."""
        return time.monotonic() - self._started_at

    def start(self) -> None:
        """Start it. To be called by the main thread: the death signal is tied to a thread."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.spec.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(self.spec.environment),
                cwd=self._directory,
                start_new_session=True,
                preexec_fn=_die_with(os.getpid()),  # noqa: PLW1509 - the supervisor has one thread
            )
        self._started_at = time.monotonic()

    def ended(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.poll() if self._process else None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def kill_group(self) -> None:
        """Kill whatever is left of it and of what it started, and reap it."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def last_words(self) -> str:
        """The last line of its log."""
        try:
            lines = self.log.read_bytes()[-4096:].decode(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return lines[-1].strip() if lines else "it left no word"


def manner(code: int) -> str:
    """How a process ended, for people."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _die_with(parent: int) -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def ask_for_death() -> None:
        prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:  # it died before it could be watched
            os._exit(1)

    return ask_for_death
