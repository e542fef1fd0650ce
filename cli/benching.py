"""`mangaassist bench`: runs the benchmarks of the checkout that this command was installed from."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from cli.failures import Failure

ROOT = Path(__file__).resolve().parents[1]


def run(arguments: Sequence[str], root: Path = ROOT) -> int:
    """The exit code of the benchmarks; raises Failure where there are none."""
    if not (root / "bench" / "__main__.py").is_file():
        raise Failure(
            "there are no benchmarks here: run this in a checkout of the sources, set up by make"
        )
    done = subprocess.run([sys.executable, "-m", "bench", *arguments], cwd=root, check=False)
    return done.returncode
