"""The data directory of an embedded stack: where its files are, and who has it.

One stack at a time: it holds a lock that the kernel gives back however the stack ends.
"""

import fcntl
import os
import time
from pathlib import Path
from typing import IO

from cli.failures import Failure

DEFAULT = Path(".mangaassist")
LOGS_KEPT = 3
LOCK_SECONDS = 0.5
"""Who only asks whether a stack is running holds the lock for an instant."""


MODEL_FILE = "model.npz"


class DataDir:
    """The directory; making an object touches nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        self.endpoints = self.path / "endpoints.json"
        self.lock_file = self.path / "lock"
        self.logs = self.path / "logs"
        self.redis = self.path / "redis"
        self.journals = self.path / "aws"
        self.state = self.path / "state"
        self.catalogue = self.path / "catalogue.snapshot"
        self.model = self.path / "model" / MODEL_FILE
        self.private_key = self.path / "token-key.pem"
        self.pseudonym_key = self.path / "pseudonym-key"
        self.jwks = self.path / "jwks.json"

    def make(self) -> None:
        """Make what is missing; raises Failure where it can't be written."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            for directory in (self.logs, self.redis, self.journals, self.state):
                directory.mkdir(mode=0o700, exist_ok=True)
                if not os.access(directory, os.W_OK | os.X_OK):
                    raise PermissionError(13, "Permission denied", str(directory))
        except OSError as error:
            raise Failure(
                f"the data directory {self.path} cannot be written: {error.strerror}"
            ) from error

    def lock(self) -> IO[bytes]:
        """Take the directory for one stack, until the file is closed; raises Failure."""
        try:
            file = self.lock_file.open("ab")
        except OSError as error:
            raise Failure(
                f"the data directory {self.path} cannot be written: {error.strerror}"
            ) from error
        deadline = time.monotonic() + LOCK_SECONDS
        while not _locked(file, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                file.close()
                raise Failure(f"a stack is already running in {self.path}")
            time.sleep(0.05)
        return file

    def in_use(self) -> bool:
        """Whether a stack is running here."""
        try:
            with self.lock_file.open("rb") as file:
                return not _locked(file, fcntl.LOCK_SH)
        except OSError:
            return False

    def rotate_logs(self) -> None:
        """Put the last run's logs aside, and the oldest away."""
        for log in self.logs.glob("*.log"):
            for age in range(LOGS_KEPT - 1, 0, -1):
                older = log.with_suffix(f".log.{age}")
                if older.exists():
                    older.replace(log.with_suffix(f".log.{age + 1}"))
            log.replace(log.with_suffix(".log.1"))

    def log(self, name: str) -> Path:
        """The log of a child."""
        return self.logs / f"{name}.log"


def _locked(file: IO[bytes], how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
