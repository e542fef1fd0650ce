"""Finds the development data that lies beside the repository; a test without it is skipped."""

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent


def shared(name: str) -> Path:
    """The path of a shared data file; skips the test where it is absent."""
    root = os.environ.get("MANGAASSIST_SHARED", str(REPOSITORY.parent / "shared"))
    path = Path(root) / "data" / name
    if not path.exists():
        pytest.skip(f"{name} is not here")
    return path


def texts(name: str) -> Iterator[str]:
    """The `text` of each row of a shared JSONL file."""
    with gzip.open(shared(name), "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)["text"]
