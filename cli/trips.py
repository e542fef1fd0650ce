"""How long a trip to a service takes, once the way is open."""

import time
from collections.abc import Callable
from statistics import median

TRIPS = 5


def median_ms(trip: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """The median of a few trips, behind a first one that opens the connection."""
    trip()
    took = []
    for _ in range(TRIPS):
        began = clock()
        trip()
        took.append(clock() - began)
    return median(took) * 1000
