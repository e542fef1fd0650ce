"""The declared budgets with the time of a busy machine, for tests in which nothing may be late."""

import msgspec

from adapters import redis_kept
from config.budgets import Budget, Budgets, declared
from serving import response_store

LONG_MS = 30_000
LONG_SECONDS = LONG_MS / 1000


def budget(of: Budget) -> Budget:
    """The same route, its total and its segments without haste."""
    segments = dict.fromkeys(of.segments, LONG_MS)
    return msgspec.structs.replace(of, total_ms=LONG_MS, segments=segments)


def budgets() -> Budgets:
    """Every route like that."""
    return Budgets({name: budget(of) for name, of in declared().routes.items()})


def stores() -> None:
    """What this process asks of Redis beside the questions has the same time."""
    redis_kept.PROBE_SECONDS = response_store.STORE_SECONDS = LONG_SECONDS
