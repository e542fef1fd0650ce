"""Trending counters: the contract of `InteractionCounts`, held against an offline computation."""

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.redis_connection import RedisConnection
from adapters.redis_counts import RedisCounts
from domain.event_ids import event_id_of_look_up
from domain.events import InteractionType
from domain.jobs import CountInteraction
from domain.ports import CountOutcome, InteractionCounts
from tests.fakes import NOW, FakeClock, FakeCounts
from tests.samples import DAY, HOUR, RULE, interaction

KINDS = list(InteractionType)
WEIGHTS = {"view": 1, "lookup": 1, "read": 2, "cart": 3, "purchase": 5}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["fake", "redis"])
def counts(request: pytest.FixtureRequest, clock: FakeClock) -> InteractionCounts:
    if request.param == "fake":
        return FakeCounts(RULE, clock)
    return RedisCounts(request.getfixturevalue("redis_connection"), RULE, clock)


def offline(events: Iterable[CountInteraction], now: float) -> dict[str, float]:
    """The definition of the score, in words of its own: one exact sum for each title."""
    once = {event.event_id: event for event in events}
    parts = defaultdict(list)
    for event in once.values():
        age = now - event.occurred_at
        if age <= 7 * DAY:
            kind = event.interaction.value
            weight = WEIGHTS[kind] if kind in WEIGHTS else (event.value or 0) / 2
            parts[event.item_id].append(weight * math.pow(2, -age / DAY))
    return {item_id: math.fsum(of_item) for item_id, of_item in parts.items()}


def assert_equal(found: Mapping[str, float], wanted: Mapping[str, float]) -> None:
    assert found.keys() == wanted.keys()
    for item_id, score in wanted.items():
        assert found[item_id] == pytest.approx(score, rel=1e-9, abs=1e-9)


def random_events(number: int, seed: int) -> list[CountInteraction]:
    chance = random.Random(seed)
    return [
        interaction(
            f"title {chance.randrange(40)}",
            NOW - chance.expovariate(1 / (2 * DAY)),
            event_id=f"{seed}-{at}",
            kind=chance.choice(KINDS),
            value=chance.randint(1, 10),
            user_id="ann",
        )
        for at in range(number)
    ]


def test_an_event_counts_once_however_often_it_comes(counts: InteractionCounts) -> None:
    event = interaction("a", NOW - HOUR)
    assert counts.count([event, event]) == CountOutcome(applied=1, duplicates=1)
    assert counts.count([event]) == CountOutcome(duplicates=1)
    assert_equal(counts.scores(NOW), offline([event], NOW))


def test_the_same_event_id_of_two_users_is_two_events(counts: InteractionCounts) -> None:
    seen = [replace(interaction("a", event_id="e1"), user_id=user) for user in ("ann", "bob")]
    assert counts.count([*seen, *seen]) == CountOutcome(applied=2, duplicates=2)


def test_weights_are_those_of_what_happened(counts: InteractionCounts) -> None:
    events = [interaction(kind.value, NOW, kind=kind, value=8, user_id="ann") for kind in KINDS]
    counts.count(events)
    assert counts.scores(NOW) == {**WEIGHTS, "rating": 4.0}


def looked_up(item_id: str, visitor: str, at: float = NOW, user: str = "") -> CountInteraction:
    event_id = event_id_of_look_up(user, visitor, item_id)
    return interaction(item_id, at, event_id, InteractionType.LOOKUP, user_id=user)


def test_a_visitor_looks_a_title_up_once_within_the_window(counts: InteractionCounts) -> None:
    again = [looked_up("a", "s-1", NOW - at, "ann") for at in (0, HOUR, DAY)]
    assert counts.count(again) == CountOutcome(applied=1, duplicates=2)
    other_session, other_title = (
        looked_up("a", "s-2", NOW, "ann"),
        looked_up("b", "s-1", NOW, "ann"),
    )
    assert counts.count([other_session, other_title]) == CountOutcome(applied=1, duplicates=1)
    assert counts.scores(NOW) == {"a": 1.0, "b": 1.0}


def test_too_few_visitors_who_are_not_signed_in_bring_no_title_in(
    counts: InteractionCounts,
) -> None:
    counts.count([looked_up("a", "s-1"), looked_up("a", "s-1", NOW - HOUR), looked_up("b", "s-1")])
    assert counts.scores(NOW) == {}
    # the second one's clock is ahead
    counts.count([looked_up("a", "s-2", NOW + 300)])
    assert counts.scores(NOW) == {}
    counts.count([looked_up("a", "s-3")])
    assert counts.scores(NOW) == {"a": pytest.approx(3, rel=0.01)}
    assert counts.scores(NOW + DAY) == {}, "none of them is fresh any more"


def test_where_somebody_is_signed_in_every_visitor_counts(counts: InteractionCounts) -> None:
    counts.count([looked_up("a", "s-1"), looked_up("a", "s-2", NOW - DAY)])
    counts.count([interaction("a", NOW - DAY, user_id="ann"), looked_up("b", "s-1")])
    assert counts.scores(NOW) == {"a": 2.0}
    # and so in the bucket that the beginning of the window cuts
    assert counts.scores(NOW + 6 * DAY) == {"a": pytest.approx(2.0 / 64)}


def test_a_score_halves_with_every_half_life(counts: InteractionCounts) -> None:
    counts.count([interaction("a", NOW)])
    assert counts.scores(NOW + 3 * DAY) == {"a": 0.125}


def test_an_event_from_before_the_window_is_not_counted(counts: InteractionCounts) -> None:
    old = interaction("a", NOW - 7 * DAY - 1)
    assert counts.count([old]) == CountOutcome(expired=1)
    assert counts.scores(NOW) == {}


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 1.0])
def test_the_edge_of_the_window_is_exact(
    counts: InteractionCounts, clock: FakeClock, seconds: float
) -> None:
    """The bucket that the window's beginning cuts counts only what lies in the window."""
    clock.now += HOUR
    events = [interaction("a", NOW), interaction("b", NOW + 1800), interaction("c", NOW + 3599)]
    counts.count(events)
    for event in events:
        now = event.occurred_at + 7 * DAY + seconds
        assert_equal(counts.scores(now), offline(events, now))


def test_a_late_event_lands_in_the_bucket_of_its_time(
    counts: InteractionCounts, clock: FakeClock
) -> None:
    events = [interaction("a", NOW - 3 * DAY), interaction("a", NOW - 2 * HOUR)]
    counts.count(events[1:])
    clock.now += HOUR
    counts.count(events[:1])
    assert_equal(counts.scores(clock.now), offline(events, clock.now))


def test_shuffled_duplicated_and_late_events_give_the_offline_sum(
    counts: InteractionCounts, clock: FakeClock
) -> None:
    events = random_events(3000, seed=1)
    sent = [*events, *random.Random(2).sample(events, 300)]
    random.Random(3).shuffle(sent)
    outcomes = [counts.count(sent[at : at + 700]) for at in range(0, len(sent), 700)]
    window = [event for event in events if NOW - event.occurred_at <= 7 * DAY]
    assert sum(outcome.applied for outcome in outcomes) == len(window)
    for now in (NOW, NOW + 123.25, NOW + 2 * DAY, NOW + 6.5 * DAY):
        assert_equal(counts.scores(now), offline(window, now))


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    ages=st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 8), st.floats(0, 1), st.booleans()),
        max_size=30,
    ),
    later=st.floats(0, 8),
)
def test_any_history_gives_the_offline_sum(
    redis_connection: RedisConnection,
    ages: list[tuple[str, int, float, bool]],
    later: float,
) -> None:
    redis_connection.client.flushall()
    counts = RedisCounts(redis_connection, RULE, FakeClock())
    events = [interaction(item, NOW - (days + part) * DAY) for item, days, part, _ in ages]
    again = [event for event, (*_, twice) in zip(events, ages, strict=True) if twice]
    counts.count([*events, *again])
    taken = [event for event in events if NOW - event.occurred_at <= 7 * DAY]
    now = NOW + later * DAY
    assert_equal(counts.scores(now), offline(taken, now))


def test_a_clock_far_ahead_cannot_make_a_title_trend_for_ever(
    redis_connection: RedisConnection,
) -> None:
    counts = RedisCounts(redis_connection, RULE, FakeClock())
    counts.count([interaction("a", NOW + 365 * DAY)])
    assert counts.scores(NOW) == {"a": 1.0}
    assert counts.scores(NOW + 8 * DAY) == {}


def test_a_worker_whose_clock_is_an_hour_behind_counts_for_the_time_of_the_event(
    redis_connection: RedisConnection,
) -> None:
    late = FakeClock(NOW - HOUR)
    RedisCounts(redis_connection, RULE, late).count([interaction("a", NOW)])
    counts = RedisCounts(redis_connection, RULE, FakeClock())
    assert counts.scores(NOW + DAY) == {"a": 0.5}


def test_every_key_has_a_time_to_live(redis_connection: RedisConnection) -> None:
    RedisCounts(redis_connection, RULE, FakeClock()).count(random_events(50, seed=4))
    client = redis_connection.client
    ttls = [client.ttl(key) for key in client.scan_iter()]
    assert len(ttls) > 50
    assert all(0 < ttl <= 7 * DAY + 2 * HOUR for ttl in ttls)


def test_item_ids_may_hold_spaces_and_any_letters(counts: InteractionCounts) -> None:
    counts.count([interaction("a b 漫画", NOW)])
    assert counts.scores(NOW + 7 * DAY) == {"a b 漫画": (2**-7)}


def test_a_bucket_of_a_wrong_type_is_begun_anew_and_loses_no_later_event(
    redis_connection: RedisConnection,
) -> None:
    counts = RedisCounts(redis_connection, RULE, FakeClock())
    counts.count([interaction("lost", NOW - HOUR, event_id="e0"), interaction("a", event_id="e1")])
    client = redis_connection.client
    for key in client.keys("trend*:[0-9]*"):
        client.delete(key)
        client.hset(key, "no", "counter")
    assert counts.scores(NOW) == {}, "trending goes on with what there is"
    events = [interaction("a", NOW, event_id="e2"), interaction("b", NOW, event_id="e3")]
    assert counts.count(events) == CountOutcome(applied=2, damaged=2)
    assert counts.count(events) == CountOutcome(duplicates=2)
    assert_equal(counts.scores(NOW), offline(events, NOW))
