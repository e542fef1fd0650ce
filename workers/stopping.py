"""Turns SIGTERM and SIGINT into an event that loops wait for; the second signal ends at once."""

import os
import signal
import threading

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def on_signal() -> threading.Event:
    """An event that is set by the first signal; to be called before any thread is started."""
    stop = threading.Event()
    # A handler would run inside of `stop.wait` and could find its lock taken: a thread can't.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    threading.Thread(target=_wait, args=(stop,), name="signals", daemon=True).start()
    return stop


def _wait(stop: threading.Event) -> None:
    signal.sigwait(_SIGNALS)
    stop.set()
    os._exit(128 + signal.sigwait(_SIGNALS))
