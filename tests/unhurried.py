"""The declared budgets with the time of a busy machine, for tests in which nothing may be late."""

import msgspec

from config.budgets import Budget, Budgets, declared

LONG_MS = 30_000


def budget(of: Budget) -> Budget:
    """The same route, its total and its segments without haste."""
    segments = dict.fromkeys(of.segments, LONG_MS)
    return msgspec.structs.replace(of, total_ms=LONG_MS, segments=segments)


def budgets() -> Budgets:
    """Every route like that."""
    return Budgets({name: budget(of) for name, of in declared().routes.items()})
