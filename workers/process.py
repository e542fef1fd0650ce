"""What one worker process holds: its ports, built once and after the fork, never shared.

A pool that forks has them built in each child as it starts; threads share those of the process.
"""

import os
import threading
from collections.abc import Callable

from domain.ports import Ports


class PerProcess:
    """Gives each process its own ports."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._build: Callable[[], Ports] | None = None
        self._built: dict[int, Ports] = {}

    def provide(self, build: Callable[[], Ports]) -> None:
        """Say how this process, and every one forked from it, gets its ports."""
        self._build = build
        self._built.clear()

    def ports(self) -> Ports:
        """The ports of this process."""
        found = self._built.get(os.getpid())
        return self._make() if found is None else found

    def after_fork(self) -> None:
        """Forget what was inherited, a lock that another thread held as well."""
        self._lock = threading.Lock()
        self._built = {}

    def close(self) -> None:
        """Send the spans that are left, before this process ends."""
        found = self._built.get(os.getpid())
        if found is not None and found.traces is not None:
            found.traces.close()

    def _make(self) -> Ports:
        with self._lock:
            if self._build is None:
                raise RuntimeError("no entry point has said how to build the ports")
            if os.getpid() not in self._built:
                self._built[os.getpid()] = self._build()
            return self._built[os.getpid()]


process = PerProcess()
"""The one of this interpreter, which is what Celery's tasks reach for."""
