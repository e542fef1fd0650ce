"""The relay's view of the outbox, on a real server."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from adapters.redis_connection import RedisConnection
from adapters.redis_outbox import RedisOutbox, malformed_key
from domain.errors import Transient

if TYPE_CHECKING:
    import redis


@pytest.fixture
def outbox(valkey: "redis.Redis", valkey_url: str) -> Iterator[RedisOutbox]:
    yield from _opened(valkey_url)


@pytest.fixture
def other(valkey: "redis.Redis", valkey_url: str) -> Iterator[RedisOutbox]:
    yield from _opened(valkey_url)


def _opened(url: str) -> Iterator[RedisOutbox]:
    connection = RedisConnection(url)
    yield RedisOutbox(connection, shards=2)
    connection.close()


def test_a_server_that_became_a_replica_is_asked_over_a_new_connection(
    valkey: "redis.Redis", valkey_url: str
) -> None:
    connection = RedisConnection(valkey_url)
    before = connection.client.client_id()
    valkey.replicaof("127.0.0.1", "1")
    try:
        with pytest.raises(Transient, match="ReadOnlyError"):
            RedisOutbox(connection, shards=1).read(10, 0.01)
        assert connection.client.client_id() > before
    finally:
        valkey.replicaof("NO", "ONE")
    assert RedisOutbox(connection, shards=1).read(10, 0.01) == []
    connection.close()


def test_entries_written_before_the_first_relay_are_read(
    valkey: "redis.Redis", outbox: RedisOutbox
) -> None:
    valkey.xadd("outbox:0", {"e": b"first"})
    valkey.xadd("outbox:1", {"e": b"second", "f": 1, "h": b"head"})
    found = outbox.read(10, 0.01)
    assert sorted((entry.shard, dict(entry.fields)) for entry in found) == [
        (0, {b"e": b"first"}),
        (1, {b"e": b"second", b"f": b"1", b"h": b"head"}),
    ]
    assert outbox.read(10, 0.01) == []


def test_an_entry_counts_until_it_is_acknowledged(
    valkey: "redis.Redis", outbox: RedisOutbox
) -> None:
    valkey.xadd("outbox:0", {"e": b"x"})
    (entry,) = outbox.read(10, 0.01)
    assert outbox.depth() == 1
    outbox.acknowledge([(entry.shard, entry.id)])
    assert outbox.depth() == 0
    assert outbox.oldest_seconds() == 0
    assert valkey.xpending("outbox:0", "relay")["pending"] == 0


def test_two_relays_share_the_entries(
    valkey: "redis.Redis", outbox: RedisOutbox, other: RedisOutbox
) -> None:
    ids = [valkey.xadd("outbox:0", {"e": b"x"}) for _ in range(10)]
    mine, theirs = outbox.read(5, 0.01), other.read(50, 0.01)
    assert [entry.id for entry in mine + theirs] == ids


def test_an_idle_entry_is_claimed_once_and_a_kept_one_is_not(
    valkey: "redis.Redis", outbox: RedisOutbox, other: RedisOutbox
) -> None:
    for _ in range(2):
        valkey.xadd("outbox:0", {"e": b"x"})
    left, kept = outbox.read(10, 0.01)
    assert other.claim_idle(60.0, 10) == []
    outbox.hand_back([(0, left.id), (0, kept.id)])
    outbox.keep([(0, kept.id)])
    assert [entry.id for entry in other.claim_idle(60.0, 10)] == [left.id]
    assert outbox.claim_idle(60.0, 10) == []


def test_an_idle_entry_is_found_behind_however_many_kept_ones(
    valkey: "redis.Redis", outbox: RedisOutbox, other: RedisOutbox
) -> None:
    for _ in range(300):  # more than one look at ten times the count covers
        valkey.xadd("outbox:0", {"e": b"x"})
    *kept, left = outbox.read(300, 0.01)
    outbox.hand_back([(0, left.id)])
    assert [entry.id for entry in other.claim_idle(60.0, 10)] == [left.id]
    outbox.hand_back([(0, entry.id) for entry in kept])
    found = [entry.id for _ in range(40) for entry in other.claim_idle(60.0, 10)]
    assert found == [entry.id for entry in kept]


def test_an_entry_that_was_acknowledged_elsewhere_is_not_claimed(
    valkey: "redis.Redis", outbox: RedisOutbox, other: RedisOutbox
) -> None:
    valkey.xadd("outbox:0", {"e": b"x"})
    (entry,) = outbox.read(10, 0.01)
    outbox.hand_back([(0, entry.id)])
    outbox.acknowledge([(0, entry.id)])
    assert other.claim_idle(60.0, 10) == []


def test_an_entry_set_aside_lies_with_its_reason_in_a_stream_of_its_own(
    valkey: "redis.Redis", outbox: RedisOutbox
) -> None:
    valkey.xadd("outbox:1", {"e": b"\xff"})
    (entry,) = outbox.read(10, 0.01)
    outbox.set_aside(entry, "not msgpack")
    assert (outbox.depth(), outbox.malformed()) == (0, 1)
    ((_, fields),) = valkey.xrange(malformed_key(1)) or []
    assert fields == {b"e": b"\xff", b"reason": b"not msgpack", b"id": entry.id}


def test_a_relay_that_holds_nothing_is_forgotten_and_one_that_holds_is_not(
    valkey: "redis.Redis", outbox: RedisOutbox, other: RedisOutbox
) -> None:
    valkey.xadd("outbox:0", {"e": b"x"})
    outbox.read(10, 0.01)
    other.read(10, 0.01)
    outbox.remove_idle_consumers(-1)
    names = [row["name"].decode() for row in valkey.xinfo_consumers("outbox:0", "relay")]
    assert names == [outbox.consumer]


def test_a_lost_stream_is_made_again_by_the_next_call(
    valkey: "redis.Redis", outbox: RedisOutbox
) -> None:
    outbox.read(10, 0.01)
    valkey.flushall()
    with pytest.raises(Transient):
        outbox.read(10, 0.01)
    valkey.xadd("outbox:0", {"e": b"x"})
    assert len(outbox.read(10, 0.01)) == 1


def test_a_server_that_is_away_is_a_transient_fault() -> None:
    outbox = RedisOutbox(RedisConnection("redis://127.0.0.1:1/0"), shards=1)
    with pytest.raises(Transient):
        outbox.read(1, 0.01)
