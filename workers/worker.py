"""Runs the workers of a group: `python -m workers.worker GROUP…`.

Several groups run as one process each, and end together. What a group consumes, with which pool and
how many at once, is in `queues.toml`.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType

from config import settings as settings_module
from config.errors import ConfigError
from config.queues import Group, declared
from config.settings import Settings
from workers import multiprocess_metrics

USAGE_ERROR = 2


def run(group: str, settings: Settings) -> int:
    """Work for one group until SIGTERM or SIGINT; the exit code. Raises ConfigError."""
    row = _row(group)
    directory = None
    if row.pool == "prefork":
        _have_a_fresh_interpreter(group)
        directory = multiprocess_metrics.prepare(group, settings.state_dir)
    # Only now: the metrics library looks at the environment when it is first imported.
    from workers.lifecycle import work  # noqa: PLC0415

    return work(group, row, settings, directory)


def run_each(groups: Sequence[str], settings: Settings) -> int:
    """Work for several groups, each in a process of its own; the first bad exit code, or 0."""
    if not groups:
        raise ConfigError("name a group of queues.toml")
    for group in groups:
        _row(group)
    if len(groups) == 1:
        return run(groups[0], settings)
    children = [
        subprocess.Popen([sys.executable, "-m", "workers.worker", group])  # noqa: S603 - checked
        for group in dict.fromkeys(groups)
    ]

    def pass_on(number: int, _frame: FrameType | None) -> None:
        for child in children:
            if child.poll() is None:
                os.kill(child.pid, number)

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, pass_on)
    return _wait(children)


def _have_a_fresh_interpreter(group: str) -> None:
    """Start anew where the metrics library is imported already: it has chosen its mode by then."""
    if "prometheus_client" in sys.modules:
        os.execv(sys.executable, [sys.executable, "-m", "workers.worker", group])  # noqa: S606


def _wait(children: Sequence["subprocess.Popen[bytes]"]) -> int:
    """Wait for the first child to end and end the others: whoever runs us starts all again."""
    while all(child.poll() is None for child in children):
        signal.sigtimedwait([signal.SIGCHLD], 1.0)
    for child in children:
        if child.poll() is None:
            child.terminate()
    codes = [child.wait() for child in children]
    return next((code for code in codes if code), 0)


def _row(group: str) -> Group:
    groups = declared().groups
    if group not in groups:
        raise ConfigError(f"there is no group {group!r}; there are {', '.join(sorted(groups))}")
    return groups[group]


def main(arguments: Sequence[str]) -> int:
    """The command line of this module."""
    try:
        return run_each(arguments, settings_module.read())
    except (ConfigError, OSError) as error:
        sys.stderr.write(f"worker: {error}\n")
        return USAGE_ERROR


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
