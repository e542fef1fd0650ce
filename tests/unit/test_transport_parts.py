"""The transport's parts alone: batches, prefetch, backoff, options. No socket is opened."""

import threading
from collections.abc import Sequence

import pytest

from workers.batches import Batches, Entry, jittered_backoff
from workers.prefetch import FULL_RECEIVE, Prefetch
from workers.transport_options import TransportOptions
from workers.visibility import full_jitter

SECONDS = 60.0

ROW = {"url": "https://sqs.eu-west-1.amazonaws.com/1/q"}


def entries(count: int, url: str = "u") -> list[Entry]:
    return [Entry("q", url, f"{url}-{i}") for i in range(count)]


class Recorder:
    """A send that keeps what it was given and fails where told."""

    def __init__(self, failures: int = 0) -> None:
        self.batches: list[list[str]] = []
        self.failures = failures
        self.sent = threading.Semaphore(0)

    def __call__(self, batch: Sequence[Entry]) -> Sequence[Entry]:
        self.batches.append([entry.handle for entry in batch])
        if self.failures:
            self.failures -= 1
            return batch
        for _ in batch:
            self.sent.release()
        return []

    def wait(self, count: int) -> None:
        for _ in range(count):
            assert self.sent.acquire(timeout=SECONDS)


def test_entries_go_in_batches_of_ten_of_one_queue() -> None:
    send = Recorder()
    batches = Batches("test", send, linger_seconds=0.01)
    batches.put([*entries(25), *entries(3, url="v")])
    send.wait(28)
    assert batches.close(SECONDS) == 0
    assert sorted(len(batch) for batch in send.batches) == [3, 5, 10, 10]
    assert all(len({handle[0] for handle in batch}) == 1 for batch in send.batches)


def test_failed_entries_are_sent_again_and_none_is_lost() -> None:
    send = Recorder(failures=2)
    batches = Batches("test", send, linger_seconds=0.0)
    batches.put(entries(4))
    send.wait(4)
    assert batches.close(SECONDS) == 0
    assert len(send.batches) == 3


def test_closing_sends_at_once_what_would_have_lingered() -> None:
    send = Recorder()
    batches = Batches("test", send, linger_seconds=3600)
    batches.put(entries(3))
    assert batches.close(SECONDS) == 0
    assert send.batches == [["u-0", "u-1", "u-2"]]


def test_closing_ends_although_sending_never_succeeds() -> None:
    batches = Batches("test", Recorder(failures=10_000), linger_seconds=0.0)
    batches.put(entries(3))
    assert batches.close(0.2) == 3


def test_closing_without_work_starts_no_thread() -> None:
    assert Batches("idle", Recorder(), linger_seconds=0.0).close(SECONDS) == 0
    assert "idle" not in {thread.name for thread in threading.enumerate()}


def test_backoff_grows_with_jitter_up_to_three_seconds() -> None:
    assert all(0 < jittered_backoff(1) <= 0.2 for _ in range(100))
    assert all(1.5 <= jittered_backoff(50) <= 3.0 for _ in range(100))


def test_a_failed_message_waits_with_full_jitter_up_to_its_cap() -> None:
    waits = [full_jitter(20, 1.0, 60.0) for _ in range(500)]
    assert 0 <= min(waits) < 15
    assert 45 < max(waits) <= 60
    assert all(full_jitter(1, 1.0, 60.0) <= 2 for _ in range(100))


def test_waiting_messages_take_turns_between_queues() -> None:
    prefetch: Prefetch[int] = Prefetch(0.2)
    for i in range(3):
        prefetch.add("a", i)
    prefetch.add("b", 10)
    assert [prefetch.next() for _ in range(5)] == [("a", 0), ("b", 10), ("a", 1), ("a", 2), None]


def test_without_a_pace_only_free_slots_are_filled() -> None:
    prefetch: Prefetch[int] = Prefetch(0.2)
    assert prefetch.wanted(3) == 3
    assert prefetch.wanted(0) == 0
    assert prefetch.wanted(100) == FULL_RECEIVE
    prefetch.add("a", 1)
    assert prefetch.wanted(1) == 0
    assert prefetch.wanted(2) == 1


def test_drained_messages_are_gone() -> None:
    prefetch: Prefetch[int] = Prefetch(0.2)
    prefetch.add("a", 1)
    prefetch.add("b", 2)
    assert prefetch.drain() == [("a", 1), ("b", 2)]
    assert len(prefetch) == 0
    assert prefetch.next() is None


def test_options_are_read_with_their_defaults() -> None:
    options = TransportOptions.read({"predefined_queues": {"q": ROW}, "polling_interval": 0})
    assert options.queues["q"].visibility_timeout == 30
    assert options.queues["q"].url == ROW["url"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "predefined_queues"),
        ({"predefined_queues": {"q": ROW}, "wait_time": 3}, "'wait_time' is unknown"),
        ({"predefined_queues": {"q": ROW}, "wait_time_seconds": 21}, "1 to 20"),
        ({"predefined_queues": {"q": {**ROW, "visibility": 3}}}, "'visibility' is unknown"),
        ({"predefined_queues": {"q": {**ROW, "visibility_timeout": 0}}}, "visibility_timeout"),
        ({"predefined_queues": {"q": {"url": "q"}}}, "not a queue URL"),
        ({"predefined_queues": {"q": {**ROW, "backoff_cap_seconds": 0}}}, "backoff"),
        ({"predefined_queues": {"q": {**ROW, "receive_pause_seconds": -1}}}, "receive_pause"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TransportOptions.read(options)
