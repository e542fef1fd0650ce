"""The SQS emulator's store: whatever happened, a reopened journal holds the same queues."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from emulators.journal import Journal
from emulators.sqs_queue import Message
from emulators.sqs_store import AttributesChanged, Purged, QueueCreated, QueueDeleted, QueueStore

if TYPE_CHECKING:
    from pathlib import Path

Summary = dict[str, tuple[dict[str, str], dict[str, int]]]


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def opened(path: Path, clock: Clock) -> QueueStore:
    journal = Journal(path, compact_at_bytes=4096)
    return QueueStore("0", "here", clock, journal)


def summary(store: QueueStore) -> Summary:
    return {
        queue.name: (queue.attributes, {m.key: m.receive_count for m in queue.messages})
        for queue in store
    }


def random_step(store: QueueStore, clock: Clock, rng: random.Random, step: int) -> None:
    name = rng.choice("abc")
    queue = store.get(name)
    if queue is None:
        attributes = {}
        if name != "a" and store.get("a") is not None:
            arn = store.arn("a")
            attributes = {"RedrivePolicy": f'{{"deadLetterTargetArn":"{arn}","maxReceiveCount":2}}'}
        store.commit(QueueCreated(name, attributes, {}, clock.now, clock.now))
        return
    dice = rng.random()
    if dice < 0.5:
        store.send(queue, [Message(f"m{step}", f"m{step}", "x" * 50, "", clock.now)])
    elif dice < 0.9:
        taken, _ = store.take(queue, 3, rng.choice([0, 5]))
        store.remove(queue, [m.key for m in taken.delivered[:1]])
    elif dice < 0.96:
        changed = {**queue.attributes, "VisibilityTimeout": str(step % 100)}
        store.commit(AttributesChanged(name, changed, clock.now))
    elif dice < 0.98:
        store.commit(Purged(name))
    else:
        queue.messages.clear()
        store.commit(QueueDeleted(name))
    clock.now += rng.random()


@pytest.mark.parametrize("seed", range(5))
def test_a_reopened_store_equals_the_one_that_was_closed(tmp_path: Path, seed: int) -> None:
    rng, clock = random.Random(seed), Clock()
    path = tmp_path / "sqs.journal"
    store = opened(path, clock)
    for step in range(600):
        random_step(store, clock, rng, step)
        if step % 97 == 0:
            before = summary(store)
            store.close()
            store = opened(path, clock)
            assert summary(store) == before
    store.compact()
    before = summary(store)
    store.close()
    again = opened(path, clock)
    assert summary(again) == before
    assert any(messages for _, messages in before.values())
    again.close()


def test_a_long_life_keeps_the_journal_short(tmp_path: Path) -> None:
    clock = Clock()
    path = tmp_path / "sqs.journal"
    store = opened(path, clock)
    store.commit(QueueCreated("q", {}, {}, clock.now, clock.now))
    queue = store.get("q")
    assert queue is not None
    for step in range(2000):
        store.send(queue, [Message(f"m{step}", f"m{step}", "x" * 100, "", clock.now)])
        store.remove(queue, [f"m{step}"])
    assert path.stat().st_size < 10_000
    store.close()
