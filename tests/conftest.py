"""For every test: signals mean what they say, however the tests were started.

A shell has what it starts in the background ignore interrupts, and nohup hang-ups; both are passed
on to every process that a test starts. A handler of our own is not.
"""

import signal


def pytest_configure() -> None:
    """Handle what is ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)
