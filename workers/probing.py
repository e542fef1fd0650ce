"""Asks what is down, again and again, until all of it answers; in a thread of its own.

Knows no queue: whoever is paused is called back, from that thread.
"""

import logging
import threading
from collections.abc import Callable, Sequence

logger = logging.getLogger(__name__)

Probe = Callable[[str], bool]
"""Whether the dependency of this name answers; may take seconds, is called from any thread."""


def no_probe(_dependency: str) -> bool:
    """Leave it to a pack to find out."""
    return True


class Prober:
    """The threads that ask, one for each pause."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._stop = threading.Event()

    def watch(
        self,
        dependencies: Sequence[str],
        wait_seconds: Callable[[], float],
        answered: Callable[[], None],
    ) -> None:
        """Call `answered` once all dependencies answer, unless stopped before."""
        threading.Thread(
            target=self._ask,
            args=(dependencies, wait_seconds, answered),
            name=f"probe-{'-'.join(dependencies)}",
            daemon=True,
        ).start()

    def stop(self) -> None:
        """Ask no more; a question under way is not waited for."""
        self._stop.set()

    def _ask(
        self,
        dependencies: Sequence[str],
        wait_seconds: Callable[[], float],
        answered: Callable[[], None],
    ) -> None:
        while not self._stop.wait(wait_seconds()):
            if all(self._answers(dependency) for dependency in dependencies):
                if not self._stop.is_set():
                    answered()
                return

    def _answers(self, dependency: str) -> bool:
        try:
            return self._probe(dependency)
        except Exception:
            # The edge of a thread: without an answer to be had, a pack has to find out.
            logger.exception("%s could not be asked", dependency)
            return True
