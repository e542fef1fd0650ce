"""Sorted sets that scripts add to, each with what to do about a key that is something else.

What such a key should have held is lost before it is found; it must not refuse every later write.
"""

import logging
from collections.abc import Iterable

log = logging.getLogger(__name__)

CLEARED = """
local kind = redis.call('TYPE', KEYS[1]).ok
local cleared = kind ~= 'zset' and redis.call('DEL', KEYS[1]) or 0
"""
"""A script's beginning: deletes KEYS[1] where it is no sorted set; `cleared` is 1 if it did."""


def tell_cleared(outcomes: Iterable[object], what: str) -> None:
    """Log how many of these scripts, which return `cleared`, found something else."""
    cleared = sum(outcome for outcome in outcomes if isinstance(outcome, int))
    if cleared:
        log.warning("%s of a wrong type were begun anew: %d", what, cleared)
