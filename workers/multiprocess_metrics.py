"""Metrics of a worker that forks: each child writes its own file, the parent shows the sum.

prometheus_client reads its mode from the environment when it is first imported, so `prepare` comes
before that. Knows no metric.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def prepare(group: str, state_dir: Path | None) -> Path:
    """Make an empty directory for the files and name it to prometheus_client."""
    if state_dir is None:
        directory = Path(tempfile.mkdtemp(prefix=f"mangaassist-{group}-"))
    else:
        directory = state_dir / f"metrics-{group}"
        # What the last run left would count twice.
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
    os.environ[VARIABLE] = str(directory)
    return directory


def bury_dead(directory: Path, bury: Callable[[int], None]) -> None:
    """Name the children that are gone: their counts stay, their live gauges do not."""
    pids = {file.stem.rpartition("_")[2] for file in directory.glob("*.db")}
    for pid in pids:
        if pid.isdecimal() and not _lives(int(pid)):
            bury(int(pid))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
