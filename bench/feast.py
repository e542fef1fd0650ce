"""Feast in a virtual environment of its own, made when it is first needed."""

import subprocess
import sys
from pathlib import Path

VERSION = "0.67.0"
PLACE = Path(__file__).resolve().parents[1] / "build" / f"bench-feast-{VERSION}"
INSTALL_SECONDS = 900


class NotInstalledError(RuntimeError):
    """It could not be installed; the message is pip's last line."""


def python() -> Path:
    """A Python that has Feast; raises NotInstalledError."""
    found = PLACE / "bin" / "python"
    ready = PLACE / "ready"
    if ready.exists():
        return found
    PLACE.parent.mkdir(parents=True, exist_ok=True)
    print(f"installing Feast {VERSION} for the comparison (about 600 MB)", file=sys.stderr)
    for command in (
        [sys.executable, "-m", "venv", "--clear", PLACE],
        [found, "-m", "pip", "install", "--quiet", f"feast[aws]=={VERSION}"],
    ):
        done = subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
        if done.returncode:
            last = (done.stderr.strip() or "no reason given").splitlines()[-1]
            raise NotInstalledError(f"Feast {VERSION} could not be installed: {last}")
    ready.touch()
    return found
