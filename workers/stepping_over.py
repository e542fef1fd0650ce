"""Lets a segment of the spool that can't be read or deleted stop no other; it is tried again."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from domain.ports import TaskMetrics

logger = logging.getLogger(__name__)


class SteppingOver:
    """Notes each such segment once. One that has vanished is nothing to note."""

    def __init__(self, metrics: TaskMetrics) -> None:
        self._metrics = metrics
        self._noted: set[Path] = set()

    @contextlib.contextmanager
    def __call__(self, path: Path) -> Iterator[None]:
        """Go on after what the system refuses in the block."""
        try:
            yield
        except FileNotFoundError:
            pass
        except OSError as error:
            if path not in self._noted:
                self._noted.add(path)
                logger.error("the spool's %s waits: %s", path.name, error.strerror)  # noqa: TRY400
                self._metrics.count("spool_events_total", outcome="unreadable")
