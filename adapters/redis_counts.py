"""The trending counters in Redis, in buckets of the time at which things happened.

`trend:<bucket>` holds a sum for each tally (`domain/trending.py`), `trend_log:<bucket>` its single
events and `trend_seen:<hash of user and event id>` what was counted; all expire a little after the
window, about 280 bytes an event: docs/runbooks/redis.md. Uses `ma3_count`. A bucket of another type
counts as empty and is begun anew by the next event in it: what it had counted is lost with it.
"""

import logging
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any

import redis

from adapters.redis_connection import Argument, RedisConnection
from adapters.redis_errors import WRONG_TYPE, translated
from domain import trending
from domain.jobs import CountInteraction
from domain.ports import Clock, CountOutcome
from domain.trending import AHEAD_SECONDS, Counted, Rule

log = logging.getLogger(__name__)

CHUNK = 100
"""Interactions in one call: about 1.5 ms during which Redis serves nobody else."""


class RedisCounts:
    """Implements `domain.ports.InteractionCounts`."""

    def __init__(self, connection: RedisConnection, rule: Rule, clock: Clock) -> None:
        self._connection = connection
        self._redis = connection.client
        self._rule = rule
        self._clock = clock

    def count(self, interactions: Sequence[CountInteraction]) -> CountOutcome:
        """Count each event id once, however often it comes, into the bucket of its time."""
        total = CountOutcome()
        for at in range(0, len(interactions), CHUNK):
            applied, duplicates, expired, *damaged = self._count(interactions[at : at + CHUNK])
            total = CountOutcome(
                total.applied + applied,
                total.duplicates + duplicates,
                total.expired + expired,
                total.damaged + sum(damaged),
            )
        if total.damaged:
            log.warning("trending counters of a wrong type were begun anew: %d", total.damaged)
        return total

    def scores(self, now: float) -> dict[str, float]:
        """The trending score of every title with events in the window."""
        edge, *full = self._buckets(now)
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.lrange(f"trend_log:{edge}", 0, -1)
        for bucket in full:
            pipeline.zrange(f"trend:{bucket}", 0, -1, withscores=True)
        with translated():
            entries, *sums = map(_whole, pipeline.execute(raise_on_error=False))
        full_sums = {
            bucket: {item.decode(): total for item, total in rows}
            for bucket, rows in zip(full, sums, strict=True)
        }
        return trending.scores(self._rule, now, full_sums, _counted(entries))

    def _count(self, interactions: Sequence[CountInteraction]) -> Sequence[int]:
        rule, now = self._rule, self._clock()
        rows: list[Argument] = []
        for job in interactions:
            happened = job.occurred_at if job.occurred_at <= now + AHEAD_SECONDS else now
            weight = rule.weight(job.interaction, job.value)
            rows += (_identity(job), trending.tally_of(job), repr(weight), repr(happened))
        outcome: Sequence[int] = self._connection.call(
            "ma3_count", (), repr(rule.half_life_seconds), repr(rule.window_seconds),
            rule.bucket_seconds, repr(now), *rows,
        )  # fmt: skip
        return outcome

    def _buckets(self, now: float) -> list[int]:
        """The buckets of the window, first the one that its beginning cuts."""
        first = self._rule.bucket(now - self._rule.window_seconds)
        last = self._rule.bucket(now + AHEAD_SECONDS)
        return list(range(first, last + 1, self._rule.bucket_seconds))


def _identity(job: CountInteraction) -> bytes:
    """What is counted once: short, and naming nobody."""
    return blake2b(f"{job.user_id}\x1f{job.event_id}".encode(), digest_size=16).digest()


def _whole(found: Any) -> Any:
    """What a bucket holds: nothing where it is of a wrong type. Raises any other error."""
    if isinstance(found, redis.ResponseError) and str(found).startswith(WRONG_TYPE):
        log.warning("a trending counter of a wrong type counts as empty")
        return ()
    if isinstance(found, Exception):
        raise found
    return found


def _counted(entries: Sequence[bytes]) -> Iterator[Counted]:
    for entry in entries:
        weight, happened, tally = entry.decode().split(" ", 2)
        yield Counted(tally, float(weight), float(happened))
