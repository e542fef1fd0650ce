"""What the request path asks of Redis, over a connection whose replies are told."""

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import pytest

from adapters.redis_multiplexed import NotDone, Reply, WritesRefused
from adapters.redis_serving import (
    WRITES_REST_SECONDS,
    Answered,
    Begun,
    Complaint,
    First,
    ServingRedis,
)

if TYPE_CHECKING:
    from adapters.redis_kept import KeptRedis


class Server:
    """One that takes no writes while `is_full`."""

    def __init__(self) -> None:
        self.now = 100.0
        self.is_full = False
        self.asked: list[str] = []

    def time(self) -> float:
        return self.now

    def call(self, command: bytes, answer: Callable[[Reply], None], seconds: float) -> None:
        name = command.split(b"\r\n")[4].decode()
        self.asked.append(name)
        if name == "ma3_read":
            answer([1, b"answer", b"OOM"])
        elif self.is_full:
            answer(WritesRefused("OOM"))
        else:
            answer([1, b"answer"])


class Shop:
    """The request path's store over a server."""

    def __init__(self) -> None:
        self.server = Server()
        kept = cast("KeptRedis", self.server)
        self._redis = ServingRedis(kept, kept, shards=1, owner_seconds=60)

    def ask(self, first: First | None = None) -> Answered:
        found: list[Answered] = []
        self._redis.serve(
            answer_key="a",
            fallback_key="f",
            session_id="s",
            owner="o",
            event=b"e",
            seconds=0.02,
            found=lambda stored, _is_fallback: found.append(stored),
            first=first,
        )
        (stored,) = found
        return stored


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_a_server_that_takes_no_writes_costs_a_second_trip_only_now_and_then(shop: Shop) -> None:
    shop.server.is_full = True
    for _ in range(5):
        stored = shop.ask()
        assert isinstance(stored, Complaint)
        assert (stored.stored, type(stored.unwritten)) == (b"answer", NotDone)
    assert shop.server.asked == ["ma3_serve", *["ma3_read"] * 5]
    shop.server.now += WRITES_REST_SECONDS
    shop.ask()
    assert shop.server.asked[6:] == ["ma3_serve", "ma3_read"]


def test_a_server_that_takes_writes_again_gets_them_a_moment_later(shop: Shop) -> None:
    shop.server.is_full = True
    shop.ask()
    shop.server.is_full = False
    shop.ask()
    shop.server.now += WRITES_REST_SECONDS
    assert [shop.ask(), shop.ask()] == [b"answer"] * 2
    assert shop.server.asked == [
        "ma3_serve", "ma3_read", "ma3_read", "ma3_serve", "ma3_serve",
    ]  # fmt: skip


@pytest.mark.parametrize("first", First)
def test_while_nothing_is_written_no_question_is_taken_for_a_first_one(first: First) -> None:
    shop = Shop()
    assert shop.ask(first) == b"answer"
    assert shop.server.asked == ["ma3_serve_first"]
    shop.server.is_full = True
    for _ in range(2):  # the second is not even tried to be written
        found = shop.ask(first)
        assert isinstance(found, Begun)
        assert isinstance(found.stored, Complaint)
        assert (found.stored.stored, str(found.stored.unwritten)) == (b"answer", "OOM")
