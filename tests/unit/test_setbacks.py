"""What a worker does with failed messages while a dependency is down. No thread asks anything."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from workers.pausing import PauseRules
from workers.setbacks import STRIKES, Setbacks
from workers.transport_observer import SilentObserver
from workers.transport_options import QueueOptions, TransportOptions
from workers.unwrapping import Payload, receives_of, tag_of

QUEUE, OTHER = "q", "other"
MAX_RECEIVES = 5
RULES = PauseRules(after_failures=3, base_seconds=1.0, cap_seconds=10.0)
DOWN = "redis"


class Observer(SilentObserver):
    def __init__(self) -> None:
        self.seen: list[str] = []
        self.seconds = 0.0

    def put_off(self, queue: str, seconds: float) -> None:
        self.seconds += seconds

    def paused(self, queue: str, *, dependency: str) -> None:
        self.seen.append(f"{queue} paused for {dependency}")

    def resumed(self, queue: str) -> None:
        self.seen.append(f"{queue} resumed")


@dataclass
class Holder:
    waiting: list[tuple[str, Payload]] = field(default_factory=list)
    released: list[tuple[Payload, int]] = field(default_factory=list)
    put_off: list[Callable[[], None]] = field(default_factory=list)
    rounds: int = 0

    def give(self, queue: str, payload: Payload) -> None:
        self.waiting.append((queue, payload))

    def take_waiting(self, queue: str) -> list[Payload]:
        taken = [payload for name, payload in self.waiting if name == queue]
        self.waiting = [(name, payload) for name, payload in self.waiting if name != queue]
        return taken

    def release(self, payload: Payload, seconds: int) -> None:
        self.released.append((payload, seconds))

    def go_on(self) -> None:
        self.rounds += 1

    def soon(self, call: Callable[[], None]) -> None:
        call()

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        self.put_off.append(call)


class Prober:
    """Stands in for the thread: the dependency answers when the test says so."""

    def __init__(self) -> None:
        self.watched: list[tuple[Sequence[str], Callable[[], None]]] = []

    def watch(
        self,
        dependencies: Sequence[str],
        wait_seconds: Callable[[], float],
        answered: Callable[[], None],
    ) -> None:
        assert 0 < wait_seconds() <= RULES.cap_seconds
        self.watched.append((dependencies, answered))

    def stop(self) -> None: ...


class Scene:
    def __init__(self) -> None:
        row = {"max_receives": MAX_RECEIVES, "backoff_cap_seconds": 60.0}
        self.observer = Observer()
        self.holder = Holder()
        self.prober = Prober()
        options = TransportOptions(
            queues={
                name: QueueOptions(name=name, url=f"https://sqs/1/{name}", **row)  # type: ignore[arg-type]
                for name in (QUEUE, OTHER)
            },
            pausing=RULES,
            probe=lambda _: False,
            observer=self.observer,
        )
        self.setbacks = Setbacks(self.holder, options, self.prober)
        self._numbers = itertools.count()

    def message(self, receives: int = 1, kind: str = "k") -> Payload:
        sqs = {"Attributes": {"ApproximateReceiveCount": str(receives)}}
        tag = f"m{next(self._numbers)}"
        return {
            "headers": {"task": kind},
            "properties": {"delivery_tag": tag, "delivery_info": {"sqs_message": sqs}},
        }

    def fail(self, *payloads: Payload) -> None:
        for payload in payloads:
            self.setbacks.failed(QUEUE, payload, DOWN)

    def pause(self) -> None:
        self.fail(*(self.message() for _ in range(RULES.after_failures)))
        self.holder.released.clear()

    def answer(self) -> None:
        self.prober.watched.pop()[1]()

    def released(self) -> list[str]:
        return [tag_of(payload) for payload, _ in self.holder.released]

    def waiting(self) -> list[str]:
        return [tag_of(payload) for _, payload in self.holder.waiting]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_failed_message_goes_back_with_its_backoff(scene: Scene) -> None:
    for _ in range(50):
        scene.setbacks.failed(QUEUE, scene.message(receives=2), "")
        scene.setbacks.succeeded(QUEUE, scene.message())
    assert all(seconds <= 4 + 60 for _, seconds in scene.holder.released)
    assert scene.observer.seconds > 0


def test_one_whose_process_was_lost_goes_back_at_once_even_from_its_last_receive(
    scene: Scene,
) -> None:
    scene.setbacks.failed(QUEUE, scene.message(receives=MAX_RECEIVES), "", at_once=True)
    assert [seconds for _, seconds in scene.holder.released] == [0]


def test_a_paused_queue_is_not_asked_while_others_are(scene: Scene) -> None:
    scene.pause()
    assert scene.observer.seen == ["q paused for redis"]
    assert scene.setbacks.room(QUEUE, 10) == 0
    assert scene.setbacks.room(OTHER, 10) == 10


def test_what_was_not_begun_goes_back_for_longer_than_no_time(scene: Scene) -> None:
    waits, last = scene.message(), scene.message(receives=MAX_RECEIVES)
    for payload in (waits, last):
        assert scene.setbacks.admit(QUEUE, payload)
        scene.holder.give(QUEUE, payload)
    scene.fail(*(scene.message() for _ in range(RULES.after_failures)))
    assert tag_of(waits) in scene.released()
    assert tag_of(last) not in scene.released()
    assert scene.waiting() == []
    assert all(seconds >= 1 for payload, seconds in scene.holder.released if payload is waits)


def test_what_arrives_while_paused_goes_back(scene: Scene) -> None:
    scene.pause()
    late, last = scene.message(), scene.message(receives=MAX_RECEIVES)
    assert not scene.setbacks.admit(QUEUE, late)
    assert not scene.setbacks.admit(QUEUE, last)
    assert scene.released() == [tag_of(late)]


def test_a_trial_is_one_message_from_the_queue_at_a_time(scene: Scene) -> None:
    scene.pause()
    scene.answer()
    assert scene.holder.rounds == 1
    assert scene.setbacks.room(QUEUE, 10) == 1
    tried = scene.message()
    assert scene.setbacks.admit(QUEUE, tried)
    assert scene.setbacks.room(QUEUE, 10) == 0
    assert not scene.setbacks.admit(QUEUE, scene.message())
    scene.fail(tried)
    assert scene.setbacks.room(QUEUE, 10) == 0
    scene.answer()
    again = scene.message()
    scene.setbacks.admit(QUEUE, again)
    scene.setbacks.succeeded(QUEUE, again)
    assert scene.setbacks.room(QUEUE, 10) == 10


def test_a_message_that_was_never_begun_does_not_block_the_trial(scene: Scene) -> None:
    scene.pause()
    scene.answer()
    tried = scene.message()
    scene.setbacks.admit(QUEUE, tried)
    scene.setbacks.dropped(QUEUE, tried)
    assert scene.setbacks.room(QUEUE, 10) == 1


def test_one_that_was_kept_is_the_trial_and_another_is_not_asked_for(scene: Scene) -> None:
    last = scene.message(receives=MAX_RECEIVES)
    scene.pause()
    scene.fail(last)
    scene.answer()
    assert scene.waiting() == [tag_of(last)]
    assert scene.setbacks.room(QUEUE, 10) == 0
    assert not scene.setbacks.admit(QUEUE, scene.message())


def test_what_was_begun_before_the_pause_ends_no_trial(scene: Scene) -> None:
    early = scene.message(kind="other")
    scene.setbacks.admit(QUEUE, early)
    scene.pause()
    scene.answer()
    tried = scene.message()
    scene.setbacks.admit(QUEUE, tried)
    scene.setbacks.succeeded(QUEUE, early)
    assert scene.setbacks.room(QUEUE, 10) == 0
    scene.setbacks.succeeded(QUEUE, tried)
    assert scene.setbacks.room(QUEUE, 10) == 10


def test_two_that_are_down_in_turns_pause_the_queue_and_are_both_asked(scene: Scene) -> None:
    for down in ("redis", "dynamodb", "redis"):
        scene.setbacks.failed(QUEUE, scene.message(), down)
    assert scene.observer.seen == ["q paused for redis or dynamodb"]
    ((asked, _),) = scene.prober.watched
    assert set(asked) == {"redis", "dynamodb"}


def test_at_its_last_receive_a_message_stays_here_until_the_dependency_is_back(
    scene: Scene,
) -> None:
    last = scene.message(receives=MAX_RECEIVES)
    scene.pause()
    scene.fail(last)
    for _ in range(1000):  # three hours of answers that no pack can confirm
        scene.answer()
        assert scene.waiting() == [tag_of(last)]
        scene.holder.waiting.clear()
        scene.fail(last)
    assert scene.released() == []
    scene.answer()
    scene.setbacks.succeeded(QUEUE, last)
    assert scene.setbacks.room(QUEUE, 10) == 10


def test_all_that_is_kept_goes_on_with_the_queue(scene: Scene) -> None:
    kept = [scene.message(receives=MAX_RECEIVES) for _ in range(6)]
    scene.fail(*kept)
    scene.answer()
    assert len(scene.waiting()) == 1
    first = scene.holder.waiting.pop()[1]
    scene.setbacks.succeeded(QUEUE, first)
    assert {*scene.waiting(), tag_of(first)} == {tag_of(payload) for payload in kept}


def test_kept_before_any_pause_it_is_tried_again_soon(scene: Scene) -> None:
    last = scene.message(receives=MAX_RECEIVES)
    scene.fail(last)
    assert scene.waiting() == []
    scene.holder.put_off.pop()()
    assert scene.waiting() == [tag_of(last)]
    assert scene.released() == []


def test_one_that_fails_while_the_others_succeed_is_let_go(scene: Scene) -> None:
    poison = scene.message(receives=MAX_RECEIVES)
    tries = 0
    while not scene.holder.released:
        tries += 1
        scene.fail(poison)
        scene.setbacks.succeeded(QUEUE, scene.message())
        assert tries <= STRIKES + 1
    assert tries == STRIKES + 1
    assert scene.released() == [tag_of(poison)]


def test_an_outage_of_hours_makes_no_dead_letter(scene: Scene) -> None:
    """A probe that is wrong all the time: every message is tried again and again, and none dies."""
    queue = [scene.message() for _ in range(7)]
    for _ in range(3000):
        room = scene.setbacks.room(QUEUE, 10)
        received = [queue.pop(0) for _ in range(min(room, len(queue)))]
        for payload in received:
            if scene.setbacks.admit(QUEUE, payload):
                scene.holder.give(QUEUE, payload)
        while scene.holder.waiting:
            scene.fail(scene.holder.waiting.pop(0)[1])
        for payload, _ in scene.holder.released:
            attributes = payload["properties"]["delivery_info"]["sqs_message"]["Attributes"]
            attributes["ApproximateReceiveCount"] = str(receives_of(payload) + 1)
            assert receives_of(payload) <= MAX_RECEIVES
            queue.append(payload)
        scene.holder.released.clear()
        if scene.prober.watched:
            scene.answer()
        elif scene.holder.put_off:
            scene.holder.put_off.pop()()


def test_stopping_gives_back_what_was_kept(scene: Scene) -> None:
    last = scene.message(receives=MAX_RECEIVES)
    scene.fail(last)
    assert scene.setbacks.stop() == [last]
    later = scene.message(receives=MAX_RECEIVES)
    scene.fail(later)
    assert scene.released() == [tag_of(later)]
