"""A run over dead letters: nothing is deleted before it is elsewhere, and a run is bounded."""

from dataclasses import replace
from typing import Any

import pytest

from config.queues import declared
from domain.catalogue import Catalogue
from domain.dead_letters import Fault, Letter
from domain.errors import Transient
from domain.jobs import RetryDeadLetters
from domain.parking import Reason
from tasks.dead_letters import STALE_SECONDS, retry_dead_letters, retry_each
from tasks.replaying import RUN_SECONDS, Run
from tests.fakes import NOW, FakeCatalogueStore, World
from tests.samples import RULE

RULES = declared().dead_letters
QUEUE = "audit"


@pytest.fixture
def world() -> World:
    return World(RULE, FakeCatalogueStore(Catalogue([])))


def letter(name: str, *jobs: bytes, **others: Any) -> Letter:
    given = {
        "queue": QUEUE,
        "receipt": f"receipt of {name}",
        "kind": "audit.append",
        "parked_id": f"parked {name}",
        "receives": 5,
        "sent_at": NOW - 1000,
    }
    return Letter(id=name, jobs=jobs, **{**given, **others})


def unreadable(name: str) -> Letter:
    return letter(name, fault=Fault(Reason.UNREADABLE, "json: does not parse"))


def run_of(world: World, **table: Any) -> Run:
    def sleep(seconds: float) -> None:
        world.clock.now += seconds

    return Run(world.ports, replace_table(**table), sleep)


def replace_table(**changes: Any) -> Any:
    values = {name: getattr(RULES, name) for name in RULES.__struct_fields__}
    return type(RULES)(**{**values, **changes})


def outcomes(world: World) -> dict[str, int]:
    return {
        key[1]: count
        for key, count in world.metrics.counted.items()
        if key[0] == "dead_letters_total"
    }


def test_every_letter_goes_where_its_decision_says(world: World) -> None:
    world.dead_letters.add(
        letter("pack", b"a", b"b", b"c"),
        letter("single", b"d"),
        letter("waiting", b"e", failed_at=NOW - 1),
        letter("exhausted", b"f", replays=3),
        unreadable("garbage"),
    )
    run_of(world).retry(QUEUE)
    sent = {one.id: (how.parts, how.replays) for one, how in world.dead_letters.sent}
    assert sent == {"pack": (((b"a",), (b"b",), (b"c",)), 0), "single": (((b"d",),), 1)}
    assert {one.id: one.reason for one in world.parking.each()} == {
        "parked exhausted": Reason.EXHAUSTED,
        "parked garbage": Reason.UNREADABLE,
    }
    assert set(world.dead_letters.dead) == {"waiting"}
    assert world.dead_letters.hidden == set()
    assert outcomes(world) == {"split": 1, "sent": 1, "left": 1, "parked": 2}


def test_what_the_queue_does_not_take_stays_a_dead_letter(world: World) -> None:
    world.dead_letters.add(letter("a", b"a"), letter("b", b"b"))
    world.dead_letters.refusing = {"a"}
    run_of(world).retry(QUEUE)
    assert set(world.dead_letters.dead) == {"a"}
    assert world.dead_letters.hidden == set()


def test_what_can_not_be_parked_stays_a_dead_letter(world: World) -> None:
    world.dead_letters.add(unreadable("a"), unreadable("b"))
    world.parking.refusing = {"parked a": "too large"}
    run_of(world).retry(QUEUE)
    assert set(world.dead_letters.dead) == {"a"}
    assert world.dead_letters.hidden == set()


def test_a_failure_on_the_way_shows_every_letter_again(world: World) -> None:
    world.dead_letters.add(unreadable("a"), letter("b", b"b"))
    world.parking.fail = Transient("down", dependency="dynamodb")
    with pytest.raises(Transient):
        run_of(world).retry(QUEUE)
    assert set(world.dead_letters.dead) == {"a", "b"}
    assert world.dead_letters.hidden == set()


def test_a_letter_that_could_not_be_deleted_is_looked_at_once_in_a_run(world: World) -> None:
    world.dead_letters.add(letter("a", b"a"))
    world.dead_letters.undeletable = {"a"}
    run_of(world).retry(QUEUE)
    assert len(world.dead_letters.sent) == 1
    assert world.dead_letters.hidden == set()


def test_a_queue_whose_letters_come_straight_back_is_left_alone(world: World) -> None:
    world.dead_letters.add(*(letter(str(at), b"a", b"b", replayed_at=NOW - 1) for at in range(5)))
    run_of(world).retry(QUEUE)
    assert world.dead_letters.sent == []
    assert outcomes(world) == {"left": 5}


def test_copies_that_come_back_within_the_run_end_it(world: World) -> None:
    world.dead_letters.add(letter("a", b"a", b"b"))
    send = world.dead_letters.send

    def send_and_fail(again: Any, now: float) -> Any:
        for one, how in again:
            for at, part in enumerate(how.parts):
                world.dead_letters.add(replace(one, id=f"{one.id}{at}", jobs=part, replayed_at=now))
        return send(again, now)

    world.dead_letters.send = send_and_fail  # type: ignore[method-assign]
    run_of(world).retry(QUEUE)
    assert len(world.dead_letters.sent) == 1
    assert set(world.dead_letters.dead) == {"a0", "a1"}


def test_a_run_sends_no_more_than_it_may(world: World) -> None:
    world.dead_letters.add(*(letter(str(at), *[b"x"] * 10) for at in range(100)))
    run_of(world, per_run=150, per_second=1_000_000).retry(QUEUE)
    assert sum(len(how.parts) for _, how in world.dead_letters.sent) == 200
    assert len(world.dead_letters.dead) == 80
    assert world.dead_letters.hidden == set()


def test_a_run_is_over_after_its_time_and_keeps_its_rate(world: World) -> None:
    world.dead_letters.add(*(letter(str(at), b"x") for at in range(2000)))
    run_of(world, per_run=10_000, per_second=50).retry(QUEUE)
    assert RUN_SECONDS <= world.clock.now - NOW <= RUN_SECONDS + 1
    assert len(world.dead_letters.sent) == pytest.approx(50 * RUN_SECONDS, abs=10)


def test_a_queue_that_fails_does_not_cost_the_others_their_turn(world: World) -> None:
    world.dead_letters.add(letter("a", b"a"), letter("b", b"b", queue="sessions"))
    receive = world.dead_letters.receive

    def failing(queue: str, hide_seconds: int) -> Any:
        if queue == QUEUE:
            raise Transient("down", dependency="sqs")
        return receive(queue, hide_seconds)

    world.dead_letters.receive = failing  # type: ignore[method-assign]
    with pytest.raises(Transient) as raised:
        retry_each([QUEUE, "sessions"], run_of(world))
    assert raised.value.dependency == ""
    assert [one.id for one, _ in world.dead_letters.sent] == ["b"]


def job(tick: int | None) -> RetryDeadLetters:
    return RetryDeadLetters(event_id="e", producer="p", seq=1, occurred_at=NOW, tick=tick)


def test_a_run_tells_how_many_are_parked(world: World) -> None:
    world.dead_letters.add(unreadable("a"), unreadable("b"))
    retry_dead_letters([job(int(NOW))], world.ports)
    assert world.metrics.gauges["parked_events",] == 2


def test_a_tick_that_is_long_over_does_nothing(world: World) -> None:
    world.dead_letters.add(letter("a", b"a"))
    retry_dead_letters([job(int(NOW - STALE_SECONDS - 1))], world.ports)
    assert world.dead_letters.sent == []
    retry_dead_letters([job(None)], world.ports)
    assert len(world.dead_letters.sent) == 1
