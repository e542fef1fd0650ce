"""Python environments of other libraries, made when a benchmark first needs one.

What is compared with must not stand in the lock file of the product.
"""

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.processes import DidNotStartError

DIRECTORY = Path(__file__).parent / ".environments"
INSTALL_SECONDS = 900


def python_with(name: str, requirements: Sequence[str], directory: Path = DIRECTORY) -> Path:
    """The interpreter of an environment with these packages; raises DidNotStartError."""
    digest = hashlib.sha256("\n".join(requirements).encode()).hexdigest()[:12]
    home = directory / f"{name}-{digest}"
    python, stamp = home / "bin" / "python", home / ".installed"
    if not stamp.exists():
        _run([sys.executable, "-m", "venv", "--clear", home])
        pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([python, *pip, *requirements])
        stamp.touch()
    return python


def _run(command: Sequence[str | Path]) -> None:
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    if done.returncode:
        raise DidNotStartError(f"an environment was not made:\n{done.stderr[-2000:]}")
