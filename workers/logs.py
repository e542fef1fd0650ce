"""The log of a worker process: one line for each event on stderr, without what anybody wrote.

Celery's own lines about single tasks are left out, since `workers/execution.py` says the same with
the outcome, and Celery would print arguments.
"""

import logging
import sys
import time

from config.errors import ConfigError

_FORMAT = "%(asctime)sZ %(levelname)s %(name)s %(message)s"
_QUIET = {
    "celery.app.trace": logging.CRITICAL,
    "celery.worker.strategy": logging.WARNING,
    "celery.beat": logging.WARNING,
    "botocore": logging.WARNING,
    "kombu": logging.WARNING,
}


def configure(level: str) -> None:
    """Set up the root logger of this process; raises ConfigError for a level that is none."""
    if level not in logging.getLevelNamesMapping():
        raise ConfigError(f"MANGAASSIST_LOG_LEVEL: there is no level {level!r}")
    handler = logging.StreamHandler(sys.stderr)
    formatter = logging.Formatter(_FORMAT, "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, at_least in _QUIET.items():
        logging.getLogger(name).setLevel(max(at_least, root.level))
