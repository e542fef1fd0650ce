"""Starts the processes of a benchmark on their cores, waits until they serve, and stops them.

Knows nothing of what they are.
"""

import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from bench import machine

HOST = "127.0.0.1"
START_SECONDS = 60.0
STOP_SECONDS = 15.0

_POLL_SECONDS = 0.02
_ROOT = Path(__file__).resolve().parents[1]
_INHERITED = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR")


class DidNotStartError(RuntimeError):
    """A process ended, or was not ready in time; the message has the end of its log."""


@dataclass(frozen=True, slots=True)
class Child:
    """A running process and the file with what it printed."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def cpu_seconds(self) -> float:
        """What it and its children have spent so far."""
        return machine.cpu_seconds(self.pid)

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-3000:]


class Processes:
    """A context in which processes live; its end stops them, the last one first."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory("-bench")))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def start(
        self,
        name: str,
        arguments: Sequence[str | Path],
        cores: frozenset[int],
        environment: Mapping[str, str] | None = None,
    ) -> Child:
        """Start a process on these cores; it gets these variables and hardly any of ours.

        Its spool, and whatever else it leaves behind, goes with the benchmark.
        """
        log = self.directory / f"{name}.log"
        inherited = {key: os.environ[key] for key in _INHERITED if key in os.environ}
        inherited["XDG_STATE_HOME"] = str(self.directory / "state")
        with log.open("ab") as output, machine.pinned(cores):
            process = subprocess.Popen(
                [str(argument) for argument in arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**inherited, "PYTHONPATH": str(_ROOT), **(environment or {})},
                cwd=self.directory,
                start_new_session=True,
            )
        child = Child(name, process, log)
        self._stack.callback(stop, child)
        return child


def stop(child: Child, first: signal.Signals = signal.SIGTERM) -> None:
    """End a process, with force where it does not listen; one that has ended is left alone."""
    if child.process.poll() is not None:
        return
    child.process.send_signal(first)
    try:
        child.process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.process.wait()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(child: Child, ready: Callable[[], bool], seconds: float = START_SECONDS) -> None:
    """Wait until `ready`; raises DidNotStartError where the process ends or takes longer."""
    deadline = time.monotonic() + seconds
    while not ready():
        if child.process.poll() is not None:
            raise DidNotStartError(f"{child.name} ended:\n{child.last_words()}")
        if time.monotonic() > deadline:
            raise DidNotStartError(f"{child.name} is not ready:\n{child.last_words()}")
        time.sleep(_POLL_SECONDS)


def listens(port: int) -> bool:
    """Whether somebody accepts connections at this port."""
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False


def answers_ok(url: str) -> bool:
    """Whether a GET of this address is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - our own address
            return bool(response.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False
