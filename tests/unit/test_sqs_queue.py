"""The message state machine of the SQS emulator, on a clock that the test moves."""

from __future__ import annotations

import random

import pytest

from emulators.sqs_queue import Message, MessageQueue, State
from emulators.wire import ApiError

DAY = 86_400.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> MessageQueue:
    return MessageQueue(clock, retention_seconds=4 * DAY)


def message(clock: Clock, name: str = "m") -> Message:
    return Message(key=name, message_id=name, body=name, body_md5="", sent_at=clock())


def take(queue: MessageQueue, limit: int = 10, visibility: float = 30.0) -> list[str]:
    return [m.key for m in queue.take(limit, visibility, None).delivered]


def test_messages_come_in_the_order_sent(queue: MessageQueue, clock: Clock) -> None:
    for name in "abc":
        queue.add(message(clock, name))
    assert take(queue, 2) == ["a", "b"]
    assert take(queue, 2) == ["c"]


def test_a_received_message_returns_after_its_visibility_timeout(
    queue: MessageQueue, clock: Clock
) -> None:
    queue.add(message(clock))
    assert take(queue) == ["m"]
    clock.now += 29.9
    assert take(queue) == []
    clock.now += 0.1
    assert take(queue) == ["m"]
    found = queue.find("m")
    assert found is not None
    assert found.receive_count == 2
    assert found.first_received_at == 1_000_000.0


def test_a_visibility_timeout_of_zero_leaves_the_message_visible(
    queue: MessageQueue, clock: Clock
) -> None:
    queue.add(message(clock))
    assert take(queue, visibility=0.0) == ["m"]
    assert take(queue, visibility=0.0) == ["m"]
    assert queue.counts().in_flight == 0


def test_a_delayed_message_is_counted_as_delayed_and_shows_when_due(
    queue: MessageQueue, clock: Clock
) -> None:
    queue.add(message(clock), delay_seconds=10)
    assert take(queue) == []
    counts = queue.counts()
    assert (counts.visible, counts.in_flight, counts.delayed) == (0, 0, 1)
    assert queue.next_due() == clock.now + 10
    clock.now += 10
    assert take(queue) == ["m"]


def test_extending_the_visibility_supersedes_the_earlier_deadline(
    queue: MessageQueue, clock: Clock
) -> None:
    queue.add(message(clock))
    [held] = queue.take(1, 30, None).delivered
    clock.now += 20
    queue.change_visibility(held, 30)
    clock.now += 20
    assert take(queue) == []
    clock.now += 10
    assert take(queue) == ["m"]


def test_changing_the_visibility_of_a_lapsed_message_leaves_it_visible(
    queue: MessageQueue, clock: Clock
) -> None:
    queue.add(message(clock))
    [held] = queue.take(1, 30, None).delivered
    clock.now += 31
    queue.change_visibility(held, 600)
    assert held.state is State.VISIBLE
    assert queue.counts().in_flight == 0


def test_a_message_received_too_often_leaves_as_dead(queue: MessageQueue, clock: Clock) -> None:
    queue.add(message(clock))
    for _ in range(2):
        assert len(queue.take(1, 5, 2).delivered) == 1
        clock.now += 5
    taken = queue.take(1, 5, 2)
    assert taken.delivered == []
    assert [m.key for m in taken.dead] == ["m"]
    assert len(queue) == 0


def test_dead_messages_do_not_use_up_the_places_of_live_ones(
    queue: MessageQueue, clock: Clock
) -> None:
    for name in "abc":
        queue.add(message(clock, name))
    queue.take(2, 5, None)
    clock.now += 5
    taken = queue.take(10, 5, 1)
    assert [m.key for m in taken.delivered] == ["c"]
    assert {m.key for m in taken.dead} == {"a", "b"}


def test_messages_expire_by_the_age_of_their_first_send(queue: MessageQueue, clock: Clock) -> None:
    old = message(clock, "old")
    clock.now += DAY
    queue.add(message(clock, "new"))
    queue.add(old)
    clock.now += 3 * DAY
    assert take(queue) == ["new"]
    assert len(queue) == 1


def test_shortening_the_retention_expires_what_is_already_too_old(
    queue: MessageQueue, clock: Clock
) -> None:
    queue.add(message(clock))
    clock.now += 120
    queue.retention_seconds = 60
    assert queue.counts().visible == 0


def test_a_message_in_flight_expires_too(queue: MessageQueue, clock: Clock) -> None:
    queue.retention_seconds = 60
    queue.add(message(clock))
    assert take(queue, visibility=600) == ["m"]
    clock.now += 61
    counts = queue.counts()
    assert (counts.visible, counts.in_flight, counts.delayed) == (0, 0, 0)


def test_too_many_messages_in_flight_are_refused(
    queue: MessageQueue, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emulators.sqs_queue.MAX_IN_FLIGHT", 1)
    queue.add(message(clock, "a"))
    queue.add(message(clock, "b"))
    take(queue, 1)
    with pytest.raises(ApiError) as caught:
        take(queue, 1)
    assert caught.value.code == "OverLimit"


def test_counts_add_up_through_a_random_life(queue: MessageQueue, clock: Clock) -> None:
    rng = random.Random(7)
    live: set[str] = set()
    for step in range(5000):
        action = rng.randrange(5)
        if action == 0:
            queue.add(message(clock, str(step)), rng.choice([0.0, 0.0, 3.0]))
            live.add(str(step))
        elif action == 1:
            taken = queue.take(rng.randint(1, 10), rng.choice([0.0, 2.0, 9.0]), None).delivered
            for held in taken[::3]:
                queue.remove(held.key)
                live.discard(held.key)
            for held in taken[1::3]:
                queue.change_visibility(held, rng.choice([0.0, 5.0]))
        else:
            clock.now += rng.random()
        counts = queue.counts()
        states = [m.state for m in queue]
        assert counts.visible == states.count(State.VISIBLE)
        assert counts.in_flight == states.count(State.IN_FLIGHT)
        assert counts.delayed == states.count(State.DELAYED)
        assert {m.key for m in queue} == live


def test_heartbeats_do_not_grow_the_timer_heap_without_bound(
    queue: MessageQueue, clock: Clock
) -> None:
    queue.add(message(clock))
    [held] = queue.take(1, 30, None).delivered
    for _ in range(10_000):
        clock.now += 0.001
        queue.change_visibility(held, 30)
    assert len(queue._due) < 1000


def test_a_shuffled_head_holds_the_same_messages(queue: MessageQueue, clock: Clock) -> None:
    names = [str(i) for i in range(20)]
    for name in names:
        queue.add(message(clock, name))
    queue.shuffle_head(10, random.Random(1))
    order = take(queue, 20)
    assert sorted(order) == sorted(names)
    assert order[:10] != names[:10]
    assert order[10:] == names[10:]
