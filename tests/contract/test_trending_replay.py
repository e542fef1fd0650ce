"""Trending over real growth: 50,000 events, late, shuffled and doubled, against exact arithmetic.

The weekly numbers are not part of the repository; without them the test is skipped.
"""

import csv
import gzip
import math
import random
from collections import defaultdict
from itertools import islice

from adapters.redis_connection import RedisConnection
from adapters.redis_counts import RedisCounts
from domain.events import InteractionType
from domain.jobs import CountInteraction
from domain.trending import ranking
from tests.fakes import NOW, FakeClock
from tests.samples import DAY, HOUR, RULE, interaction
from tests.shared_data import shared

EVENTS = 50_000
ROWS = 400_000
PACK = 500
WEIGHTS = {"view": 1.0, "lookup": 1.0, "read": 2.0, "cart": 3.0, "purchase": 5.0, "rating": 4.0}


def growth() -> dict[str, int]:
    """Members gained by each title over the weeks read."""
    path = shared("manga_weekly.csv.gz")
    members: dict[str, list[int]] = defaultdict(list)
    with gzip.open(path, "rt") as file:
        for row in islice(csv.DictReader(file), ROWS):
            if row["members"]:
                members[row["id"]].append(int(float(row["members"])))
    gained = {title: max(counts) - min(counts) for title, counts in members.items()}
    return {title: number for title, number in gained.items() if number > 0}


def replay(chance: random.Random) -> list[CountInteraction]:
    """Events in proportion to growth, over the eight days before now."""
    gained = growth()
    items = chance.choices(list(gained), weights=list(gained.values()), k=EVENTS)
    kinds = chance.choices(list(InteractionType), k=EVENTS)
    return [
        interaction(item, NOW - chance.uniform(0, 8 * DAY), f"event-{at}", kind, 8.0, user_id="ann")
        for at, (item, kind) in enumerate(zip(items, kinds, strict=True))
    ]


def arrivals(
    events: list[CountInteraction], chance: random.Random
) -> list[tuple[float, CountInteraction]]:
    """When each comes in: a fifth of them late, a tenth twice, neighbours shuffled."""

    def arrival(event: CountInteraction) -> tuple[float, CountInteraction]:
        late = chance.uniform(0, 2 * DAY) if chance.random() < 0.2 else 0.0
        return event.occurred_at + late + chance.uniform(0, HOUR), event

    sent = [arrival(event) for event in (*events, *chance.sample(events, len(events) // 10))]
    return sorted(sent, key=lambda each: each[0])


def exact(events: list[CountInteraction], now: float) -> dict[str, float]:
    parts: dict[str, list[float]] = defaultdict(list)
    for event in events:
        age = now - event.occurred_at
        if 0 <= age <= 7 * DAY:
            weight = WEIGHTS[event.interaction.value]
            parts[event.item_id].append(weight * 2 ** (-age / DAY))
    return {item: math.fsum(of_item) for item, of_item in parts.items()}


def test_trending_equals_exact_arithmetic_item_by_item(redis_connection: RedisConnection) -> None:
    chance = random.Random(20260615)
    events = replay(chance)
    sent = arrivals(events, chance)
    clock = FakeClock()
    counts = RedisCounts(redis_connection, RULE, clock)
    applied = 0
    for at in range(0, len(sent), PACK):
        pack = sent[at : at + PACK]
        clock.now = pack[-1][0]
        applied += counts.count([event for _, event in pack]).applied
    assert applied == len(events)
    for now in (NOW, NOW + 1234.5, NOW + 3 * DAY):
        found, wanted = counts.scores(now), exact(events, now)
        assert found.keys() == wanted.keys()
        assert all(abs(found[item] - score) < 1e-8 for item, score in wanted.items())
        rounded = {item: round(score, 9) for item, score in wanted.items()}
        assert ranking(found)[:100] == ranking(rounded)[:100]
