"""Numbered places where a test can have a process killed or stopped, to prove that nothing is lost.

`MANGAASSIST_FAILPOINT=relay.after_send:3` kills the process (SIGKILL) when it reaches that place
for the third time; `relay.after_send:3:stop` stops it (SIGSTOP) instead. Unset, as in every
deployment, a place costs one empty call.
"""

import itertools
import os
import signal
from collections.abc import Callable
from enum import StrEnum

from config.errors import ConfigError


class Failpoint(StrEnum):
    """Every place there is."""

    SERVING_BEFORE_REDIS = "serving.before_redis"
    SERVING_AFTER_REDIS = "serving.after_redis"
    SERVING_AFTER_SPOOL = "serving.after_spool"
    SERVING_AFTER_RESPONSE = "serving.after_response"
    RELAY_AFTER_READ = "relay.after_read"
    RELAY_BEFORE_SEND = "relay.before_send"
    RELAY_AFTER_SEND = "relay.after_send"
    RELAY_AFTER_ACKNOWLEDGE = "relay.after_acknowledge"
    RELAY_AFTER_SPOOL_READ = "relay.after_spool_read"
    RELAY_BEFORE_SPOOL_DELETE = "relay.before_spool_delete"
    WORKER_BEFORE_EFFECT = "worker.before_effect"
    WORKER_AFTER_EFFECT = "worker.after_effect"
    WORKER_AFTER_PARK = "worker.after_park"
    WORKER_BEFORE_DELETE = "worker.before_delete"
    DEAD_LETTERS_AFTER_RECEIVE = "dead_letters.after_receive"
    DEAD_LETTERS_AFTER_PARK = "dead_letters.after_park"
    DEAD_LETTERS_AFTER_SEND = "dead_letters.after_send"
    DEAD_LETTERS_AFTER_DELETE = "dead_letters.after_delete"
    BEAT_BEFORE_SEND = "beat.before_send"
    BEAT_AFTER_SEND = "beat.after_send"


_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def _pass(_point: Failpoint) -> None:
    pass


_reached: Callable[[Failpoint], None] = _pass


def reach(point: Failpoint) -> None:
    """Say that the process is at this place."""
    _reached(point)


def arm(text: str) -> None:
    """Arm the place that `text` names, or none for an empty one; raises ConfigError.

    Processes that are forked later inherit it and count for themselves.
    """
    global _reached  # noqa: PLW0603 - what is armed is the process's own state
    if not text:
        _reached = _pass
        return
    name, number, how = _parsed(text)
    passes = itertools.count(1)

    def strike(point: Failpoint) -> None:
        if point is name and next(passes) == number:
            os.kill(os.getpid(), _SIGNALS[how])

    _reached = strike


def _parsed(text: str) -> tuple[Failpoint, int, str]:
    name, _, rest = text.partition(":")
    number, _, how = rest.partition(":")
    try:
        point, count = Failpoint(name), int(number or "1")
    except ValueError:
        known = ", ".join(Failpoint)
        raise ConfigError(
            f"MANGAASSIST_FAILPOINT: give name:number, the names being {known}"
        ) from None
    if count < 1 or (how or "kill") not in _SIGNALS:
        raise ConfigError("MANGAASSIST_FAILPOINT: the number is 1 or more, then :kill or :stop")
    return point, count, how or "kill"
