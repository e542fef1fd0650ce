"""For every test: signals mean what they say, nothing outlives a run, and no example is in haste.

A shell has what it starts in the background ignore interrupts, and nohup hang-ups; both are passed
on to every process that a test starts. A handler of our own is not.
"""

import os
import shutil
import signal
import tempfile

import pytest
from hypothesis import HealthCheck, settings

STATE = pytest.StashKey[str]()

# An example that the machine has put off for a fifth of a second is not slow.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


def pytest_configure(config: pytest.Config) -> None:
    """Handle the signals that are ignored, and give the run a place for state of its own.

    A process without a state directory would share its spool with whatever ran here before.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)
    config.stash[STATE] = os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="state-")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Take away what the processes of this run left behind."""
    shutil.rmtree(config.stash[STATE], ignore_errors=True)
