"""Trending equals an exact offline computation, whatever order and however often events come.

The events have the growth of real titles over real weeks: what each title gained in members is how
often it is acted upon. They are told of the bundled titles, so that nothing else is needed.
"""

import csv
import gzip
import json
import math
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.shared_data import shared
from tests.system.running import Stack, eventually

DUPLICATED = 0.10
LATE = 0.20
BATCH = 500
SETTLED_SECONDS = 300.0
HALF_LIFE_SECONDS = 24 * 3600
WINDOW_SECONDS = 7 * 24 * 3600
WEIGHTS = {"view": 1.0, "read": 2.0, "cart": 3.0, "purchase": 5.0}
TYPES = ("view",) * 12 + ("read",) * 4 + ("cart",) * 2 + ("purchase", "rating")

Event = dict[str, Any]


@pytest.fixture
def growth() -> list[int]:
    """Asked for before any stack, which would be started in vain where there is none."""
    return weekly_growth(shared("manga_weekly.csv.gz"))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("count", [10_000, pytest.param(50_000, marks=pytest.mark.soak)])
def test_trending_of_replayed_growth_equals_the_offline_computation(
    growth: list[int], lone_stack: Stack, count: int
) -> None:
    rng = random.Random(20260)
    now = time.time()
    events = replay(growth, bundled_titles(lone_stack), now, count, rng)
    sent = disordered(events, rng)
    send(lone_stack, sent)
    lone_stack.settle("cache-writes", SETTLED_SECONDS)

    lone_stack.cli("answers", "refresh", "trending")
    answer = ask(lone_stack, "trending manga")
    computed_at = datetime.fromisoformat(answer["generated_at"]).timestamp()
    exact = offline(events, computed_at)

    served = [(item["id"], item["score"]) for item in answer["answer"]["items"]]
    wanted = sorted(exact.items(), key=lambda entry: (-round(entry[1], 9), entry[0]))[:10]
    assert [item_id for item_id, _ in served] == [item_id for item_id, _ in wanted]
    assert [score for _, score in served] == pytest.approx([s for _, s in wanted], rel=1e-6)


def weekly_growth(path: Path) -> list[int]:
    """What the titles gained in members between the last two weeks that both know, most first."""
    by_week: dict[str, dict[str, int]] = defaultdict(dict)
    with gzip.open(path, "rt") as lines:
        for row in csv.DictReader(lines):
            if row["members"]:
                by_week[row["week"]][row["id"]] = int(row["members"])
    before, after = (by_week[week] for week in sorted(by_week)[-2:])
    gained = [members - before[item] for item, members in after.items() if item in before]
    return sorted((gain for gain in gained if gain > 0), reverse=True)


def bundled_titles(stack: Stack) -> list[str]:
    """The ids of titles that lists may show, as answers name them."""
    found: dict[str, None] = {}
    for question in ("show me shonen", "shojo manga", "seinen", "josei manga", "new releases"):
        for item in ask(stack, question)["answer"]["items"]:
            found.setdefault(item["id"])
    assert len(found) >= 30
    return list(found)


def replay(
    growth: list[int], titles: list[str], now: float, count: int, rng: random.Random
) -> list[Event]:
    """As many events as wanted, shared among the titles as the growth is."""
    shares = growth[: len(titles)]
    chosen = rng.choices(titles[: len(shares)], weights=shares, k=count)
    return [event(item, now, rng) for item in chosen]


def event(item: str, now: float, rng: random.Random) -> Event:
    kind = rng.choice(TYPES)
    # Also some that are older than the window, and many at its edge.
    happened = now - 120 - rng.random() * (WINDOW_SECONDS + 24 * 3600)
    made: Event = {
        "event_id": str(UUID(int=rng.getrandbits(128), version=4)),
        "type": kind,
        "item_id": item,
        "user_id": f"u{rng.randrange(5000)}",
        "occurred_at": datetime.fromtimestamp(happened, UTC).isoformat(timespec="milliseconds"),
    }
    if kind == "rating":
        made["value"] = rng.randint(1, 10)
    return made


def disordered(events: list[Event], rng: random.Random) -> list[Event]:
    """By time, but for those that come late, those that come twice, and all of it shuffled."""
    by_time = sorted(events, key=lambda made: str(made["occurred_at"]))
    late = [made for made in by_time if rng.random() < LATE]
    again = [made for made in by_time if rng.random() < DUPLICATED]
    late_ids = {made["event_id"] for made in late}
    first = [made for made in by_time if made["event_id"] not in late_ids]
    rng.shuffle(first)
    rest = late + again
    rng.shuffle(rest)
    return first + rest


def send(stack: Stack, events: list[Event]) -> None:
    headers = {"Authorization": f"Bearer {stack.token('replay', 'events:write')}"}
    with httpx.Client(base_url=stack.http, headers=headers, timeout=60) as http:
        remaining = iter(events)
        while batch := list(islice(remaining, BATCH)):
            outcome = http.post("/v1/events", json={"events": batch})
            assert outcome.status_code == httpx.codes.ACCEPTED, outcome.text
            assert outcome.json()["rejected"] == []


def ask(stack: Stack, question: str) -> dict[str, Any]:
    body = {"session_id": "replay", "message": question, "locale": "en"}
    answer: dict[str, Any] = eventually(
        lambda: json.loads(httpx.post(f"{stack.http}/v1/chat", json=body, timeout=60).text),
        lambda found: found["source"] == "precomputed",
    )
    return answer


def offline(events: list[Event], now: float) -> dict[str, float]:
    """The score of every title by its definition."""
    parts: dict[str, list[float]] = defaultdict(list)
    for item, weight, age in weighed(events, now):
        if age <= WINDOW_SECONDS:
            parts[item].append(weight * 2 ** (-age / HALF_LIFE_SECONDS))
    return {item: math.fsum(values) for item, values in parts.items()}


def weighed(events: list[Event], now: float) -> Iterator[tuple[str, float, float]]:
    for made in events:
        kind = str(made["type"])
        weight = made["value"] / 2 if kind == "rating" else WEIGHTS[kind]
        happened = datetime.fromisoformat(str(made["occurred_at"])).timestamp()
        yield str(made["item_id"]), float(weight), now - happened
