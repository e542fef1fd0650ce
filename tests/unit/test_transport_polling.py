"""One queue's polling with a receiver that answers as told: exactly one next step each time."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import pytest

from workers.polling import Messages, QueuePoll
from workers.receiving import Failed, Outcome, Received, Receiver
from workers.transport_observer import SilentObserver
from workers.transport_options import QueueOptions

if TYPE_CHECKING:
    from kombu.asynchronous.hub import Hub

QUEUE = QueueOptions(name="q", url="https://sqs/1/q", receive_pause_seconds=0.7)


class Loop:
    """Keeps what is put off."""

    def __init__(self) -> None:
        self.later: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        self.later.append((delay, callback))

    def turn(self) -> float:
        delay, callback = self.later.pop(0)
        callback()
        return delay


class Asked:
    def __init__(self) -> None:
        self.waits: list[tuple[int, float]] = []
        self.done: Callable[[Outcome], None] | None = None
        self.error: Exception | None = None

    def receive(
        self, _url: str, _count: int, *, wait_seconds: int, timeout_seconds: float, **rest: Any
    ) -> None:
        if self.error is not None:
            raise self.error
        assert self.done is None, "two requests at a time"
        self.waits.append((wait_seconds, timeout_seconds))
        self.done = rest["done"]

    def answer(self, outcome: Outcome) -> None:
        done, self.done = self.done, None
        assert done is not None
        done(outcome)


class Scene:
    def __init__(self) -> None:
        self.loop = Loop()
        self.asked = Asked()
        self.room = 10
        self.got: list[Messages] = []
        self.poll = QueuePoll(
            QUEUE,
            hub=cast("Hub", self.loop),
            receiver=cast("Receiver", self.asked),
            wait_seconds=5,
            grace_seconds=2.0,
            wanted=lambda: self.room,
            received=self.receive,
            observer=SilentObserver(),
        )
        self.poll.resume()

    def receive(self, _queue: str, messages: Messages) -> None:
        self.got.append(messages)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def messages(count: int) -> Received:
    return Received([{"ReceiptHandle": str(i)} for i in range(count)])


def test_a_full_receive_is_followed_by_the_next_at_once(scene: Scene) -> None:
    scene.asked.answer(messages(10))
    assert len(scene.asked.waits) == 2
    assert scene.loop.later == []


def test_a_smaller_receive_is_followed_by_the_queues_pause(scene: Scene) -> None:
    scene.asked.answer(messages(3))
    assert scene.asked.done is None
    assert scene.loop.turn() == 0.7
    assert scene.asked.done is not None


def test_an_empty_answer_that_did_not_wait_is_not_repeated_at_once(scene: Scene) -> None:
    scene.asked.answer(messages(0))
    assert 0.3 < scene.loop.turn() <= 0.5


def test_failures_are_tried_again_later_and_with_short_polls(scene: Scene) -> None:
    delays = []
    for _ in range(8):
        scene.asked.answer(Failed("timeout"))
        delays.append(scene.loop.turn())
    assert all(0 < delay <= 3.0 for delay in delays)
    assert delays[-1] >= 1.5
    assert scene.asked.waits == [(5, 7.0)] + [(1, 3.0)] * 8
    scene.asked.answer(messages(10))
    assert scene.asked.waits[-1] == (5, 7.0)


def test_what_cannot_even_be_asked_is_tried_again_later(scene: Scene) -> None:
    scene.asked.answer(messages(3))
    scene.asked.error = RuntimeError("no credentials")
    scene.loop.turn()
    scene.asked.error = None
    scene.loop.turn()
    assert scene.asked.done is not None


def test_without_room_nothing_is_asked_until_there_is(scene: Scene) -> None:
    scene.room = 0
    scene.asked.answer(messages(10))
    assert scene.asked.done is None
    scene.poll.resume()
    assert scene.asked.done is None
    scene.room = 2
    scene.poll.resume()
    scene.poll.resume()
    assert scene.asked.done is not None


def test_a_stumbling_consumer_does_not_end_the_loop(scene: Scene) -> None:
    scene.poll._received = lambda *_: 1 / 0  # type: ignore[assignment]
    scene.asked.answer(messages(10))
    scene.loop.turn()
    assert scene.asked.done is not None


def test_after_the_stop_nothing_is_asked(scene: Scene) -> None:
    scene.poll.stop()
    scene.asked.answer(messages(10))
    scene.poll.resume()
    assert scene.asked.done is None
    assert scene.loop.later == []
