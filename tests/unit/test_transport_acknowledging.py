"""Deletes, heartbeats and hand-backs against a client that fails as told. No socket is opened."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from tests.unit.draining import until
from workers.acknowledgements import Acknowledgements
from workers.transport_observer import SilentObserver
from workers.transport_options import QueueOptions
from workers.visibility import Visibility

QUEUE = QueueOptions(name="q", url="https://sqs.eu-west-1.amazonaws.com/1/q", visibility_timeout=1)


class Client:
    """SQS's batch requests; `plan` holds what each next request does, then all succeed."""

    def __init__(self, *plan: object) -> None:
        self.plan = list(plan)
        self.requests: list[list[tuple[str, int | None]]] = []
        self.asked = threading.Semaphore(0)

    def _answer(self, entries: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        self.requests.append([(e["ReceiptHandle"], e.get("VisibilityTimeout")) for e in entries])
        step = self.plan.pop(0) if self.plan else None
        self.asked.release()
        if isinstance(step, Exception):
            raise step
        if isinstance(step, str):
            return {"Failed": [{"Id": "0", "Code": step}]}
        return {"Successful": [{"Id": e["Id"]} for e in entries]}

    def delete_message_batch(self, *, QueueUrl: str, Entries: Any) -> Any:  # noqa: N803
        assert QueueUrl == QUEUE.url
        return self._answer(Entries)

    def change_message_visibility_batch(self, *, QueueUrl: str, Entries: Any) -> Any:  # noqa: N803
        assert QueueUrl == QUEUE.url
        return self._answer(Entries)

    def wait(self, count: int = 1) -> None:
        for _ in range(count):
            assert self.asked.acquire(timeout=60)


class Counter(SilentObserver):
    def __init__(self) -> None:
        self.deleted = (0, 0)
        self.beats: list[tuple[int, int]] = []

    def deletes(self, queue: str, ok: int, failed: int) -> None:
        self.deleted = self.deleted[0] + ok, self.deleted[1] + failed

    def heartbeat(self, queue: str, messages: int, failed: int) -> None:
        self.beats.append((messages, failed))


def acknowledge(client: Client, *handles: str) -> tuple[list[str], Counter]:
    deleted: list[str] = []
    counter = Counter()
    acknowledgements = Acknowledgements(
        lambda: client, counter, deleted=deleted.append, linger_seconds=3600
    )
    for handle in handles:
        acknowledgements.put(QUEUE.name, QUEUE.url, handle)
    acknowledgements.close(60)
    return deleted, counter


def test_finished_messages_are_deleted_together() -> None:
    client = Client()
    deleted, counter = acknowledge(client, "a", "b", "c")
    assert client.requests == [[("a", None), ("b", None), ("c", None)]]
    assert deleted == ["a", "b", "c"]
    assert counter.deleted == (3, 0)


@pytest.mark.parametrize("failure", [OSError("gone"), "InternalError"])
def test_a_failed_delete_is_tried_again(failure: object) -> None:
    client = Client(failure)
    deleted, counter = acknowledge(client, "a")
    assert len(client.requests) == 2
    assert deleted == ["a"]
    assert counter.deleted == (1, 0)


def test_a_void_handle_is_given_up_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    deleted, counter = acknowledge(Client("ReceiptHandleIsInvalid"), "a", "b")
    assert sorted(deleted) == ["a", "b"]
    assert counter.deleted == (1, 1)
    assert "will run once more" in caplog.text


class Keeping:
    """Beats every `tick_seconds`, or when it is told that it is later."""

    def __init__(self, client: Client, tick_seconds: float = 0.05) -> None:
        self.counter = Counter()
        self.stopped = threading.Event()
        self.visibility = Visibility(
            lambda: client,
            self.counter,
            limit_seconds=60,
            tick_seconds=tick_seconds,
            stopping=self.stopped.set,
        )

    def beat(self) -> None:
        self.visibility._beat(time.monotonic() + QUEUE.visibility_timeout)


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def keeping(client: Client) -> Iterator[Keeping]:
    keeping = Keeping(client)
    yield keeping
    keeping.visibility.close(5)


@pytest.fixture
def told(client: Client) -> Iterator[Keeping]:
    """One that beats only when it is told to."""
    keeping = Keeping(client, tick_seconds=3600)
    yield keeping
    keeping.visibility.close(5)


def test_held_messages_are_prolonged_together(client: Client, told: Keeping) -> None:
    told.visibility.hold(QUEUE, "a")
    told.visibility.hold(QUEUE, "b")
    told.beat()
    client.wait()
    assert client.requests[0] == [("a", 1), ("b", 1)]


def test_a_missed_heartbeat_is_counted_and_made_up_for(client: Client, told: Keeping) -> None:
    client.plan = [OSError("gone")]
    told.visibility.hold(QUEUE, "a")
    told.beat()
    until(lambda: told.counter.beats == [(0, 1)])
    told.beat()
    client.wait(2)
    assert client.requests == [[("a", 1)], [("a", 1)]]


def test_a_released_message_is_never_prolonged_again(client: Client, told: Keeping) -> None:
    told.visibility.hold(QUEUE, "a")
    told.visibility.release(["a", "unknown"], 7)
    client.wait()
    told.visibility.hold(QUEUE, "b")
    told.beat()
    client.wait()
    assert client.requests == [[("a", 7)], [("b", 1)]]


def test_stopping_is_told_from_the_keepers_own_thread(keeping: Keeping) -> None:
    keeping.visibility.stop_soon()
    assert keeping.stopped.wait(60)
