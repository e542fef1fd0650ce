"""A dependency is asked until it answers, and no longer."""

import threading

from workers.probing import Prober

PATIENCE_SECONDS = 60


def test_it_asks_until_there_is_an_answer_and_then_says_so_once() -> None:
    answers = iter([False, False, True])
    asked: list[str] = []
    answered = threading.Semaphore(0)

    def probe(dependency: str) -> bool:
        asked.append(dependency)
        return next(answers)

    Prober(probe).watch(["redis"], lambda: 0.001, answered.release)
    assert answered.acquire(timeout=PATIENCE_SECONDS)
    assert asked == ["redis"] * 3
    assert not answered.acquire(blocking=False)


def test_of_several_every_one_has_to_answer() -> None:
    up = {"redis"}
    asked: list[str] = []
    answered = threading.Event()

    def probe(dependency: str) -> bool:
        asked.append(dependency)
        if asked.count("dynamodb") == 2:
            up.add("dynamodb")
        return dependency in up

    Prober(probe).watch(["redis", "dynamodb"], lambda: 0.001, answered.set)
    assert answered.wait(PATIENCE_SECONDS)
    assert asked == ["redis", "dynamodb"] * 2


def test_where_it_can_not_be_asked_a_pack_has_to_find_out() -> None:
    answered = threading.Event()

    def probe(_dependency: str) -> bool:
        raise RuntimeError("a fault of ours")

    Prober(probe).watch(["redis"], lambda: 0.001, answered.set)
    assert answered.wait(PATIENCE_SECONDS)


def test_once_stopped_it_neither_asks_nor_answers() -> None:
    asking, go_on = threading.Event(), threading.Event()
    answered: list[bool] = []

    def probe(_dependency: str) -> bool:
        asking.set()
        go_on.wait(PATIENCE_SECONDS)
        return True

    prober = Prober(probe)
    prober.watch(["stopped"], lambda: 0.001, lambda: answered.append(True))
    assert asking.wait(PATIENCE_SECONDS)
    (thread,) = [one for one in threading.enumerate() if one.name == "probe-stopped"]
    prober.stop()
    go_on.set()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()
    assert answered == []
