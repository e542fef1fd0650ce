"""What runs behind the requests of a process for as long as it serves."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from adapters.redis_serving import ServingRedis
from adapters.spool_writing import SpoolWriter
from serving.keys import KeySet
from serving.meters import Meters

log = logging.getLogger(__name__)

PULSE_SECONDS = 0.5
RESTART_SECONDS = 1.0
SYNC_SECONDS = 0.05


async def supervised(name: str, step: Callable[[], Awaitable[None]]) -> None:
    """Run what should not end, again whenever it fails."""
    while True:
        try:
            await step()
        except Exception:  # the edge of a background task: it starts again
            log.exception("the background task %s failed", name)
            await asyncio.sleep(RESTART_SECONDS)
        else:
            return


async def pulse(meters: Meters, redis: ServingRedis, spool: SpoolWriter, keys: KeySet) -> None:
    """Show how late the event loop is, whether Redis is there, how full the spool, how old the
    keys of tokens.
    """
    lag, up = meters.gauge("event_loop_lag_seconds"), meters.gauge("redis_up")
    kept, copies = meters.gauge("spool_bytes"), meters.gauge("spool_copies_bytes")
    age = meters.gauge("jwks_age_seconds")
    while True:
        before = time.perf_counter()
        await asyncio.sleep(PULSE_SECONDS)
        lag.set(max(0.0, time.perf_counter() - before - PULSE_SECONDS))
        up.set(float(redis.up))
        kept.set(spool.size_bytes())
        copies.set(spool.copies_bytes())
        age.set(keys.age_seconds())


async def sync_spool(meters: Meters, spool: SpoolWriter) -> None:
    """Bring what was spooled to the disk, and count the copies that found no room."""
    while True:
        await asyncio.sleep(SYNC_SECONDS)
        dropped = await asyncio.to_thread(spool.tick)
        if dropped:
            meters.uncopied(dropped)
