"""The copies of sessions that the request path reads: the contract of `SessionCopies`."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations

import pytest

from adapters.redis_connection import RedisConnection
from adapters.redis_sessions import RedisSessions, decode_copy
from domain.errors import Malformed
from domain.ports import SessionCopies
from domain.sessions import Session
from tests.fakes import NOW, FakeSessionCopies
from tests.samples import turn


@dataclass
class Desk:
    """The copies, and a reader of them."""

    copies: SessionCopies
    read: Callable[[str], Session | None]


@pytest.fixture(params=["fake", "redis"])
def desk(request: pytest.FixtureRequest) -> Desk:
    if request.param == "fake":
        fake = FakeSessionCopies()
        return Desk(fake, fake.copies.get)
    connection: RedisConnection = request.getfixturevalue("redis_connection")

    def read(session_id: str) -> Session | None:
        stored = connection.client.get(f"session:{session_id}")
        return None if stored is None else decode_copy(stored)

    return Desk(RedisSessions(connection, 300), read)


def session(session_id: str, *ats: int, owner: str = "ann") -> Session:
    turns = [turn(f"e{at}", NOW + at) for at in ats]
    return Session(session_id, owner).with_turns(turns)


def test_copies_are_read_as_they_were_put(desk: Desk) -> None:
    desk.copies.put([session("a", 2, 1), session("b", 1, owner="")])
    assert desk.read("a") == session("a", 1, 2)
    assert desk.read("b") == session("b", 1, owner="")


def test_putting_nothing_does_nothing(desk: Desk) -> None:
    desk.copies.put([])
    assert desk.read("a") is None


def test_the_order_of_writes_does_not_matter(desk: Desk) -> None:
    states = [session("", 1), session("", 1, 2), session("", 1, 2, 3)]
    for number, order in enumerate(permutations(states)):
        name = str(number)
        for state in order:
            desk.copies.put([Session(name, state.owner, state.turns)])
        found = desk.read(name)
        assert found is not None
        assert len(found.turns) == 3


def test_a_pruned_session_replaces_the_one_with_older_turns(
    redis_connection: RedisConnection,
) -> None:
    copies = RedisSessions(redis_connection, 300)
    copies.put([session("a", 2, 3, 4)])
    copies.put([session("a", 1, 2, 3)])
    assert decode_copy(redis_connection.client.get("session:a")) == session("a", 2, 3, 4)


def test_a_copy_expires(redis_connection: RedisConnection) -> None:
    RedisSessions(redis_connection, 300).put([session("a", 1)])
    assert 0 < redis_connection.client.ttl("session:a") <= 300


@pytest.mark.parametrize("stored", [b"", b"{}", b"[]", b"\xff", b"[" * 100_000])
def test_anything_but_a_copy_is_malformed(stored: bytes) -> None:
    with pytest.raises(Malformed):
        decode_copy(stored)
