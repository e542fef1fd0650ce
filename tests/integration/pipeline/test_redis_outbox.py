"""The relay's view of the outbox, on a real server."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from adapters.redis_confirmations import KEY, RETAIN_SECONDS, RedisConfirmations, Sight
from adapters.redis_connection import RedisConnection
from adapters.redis_outbox import RedisOutbox, malformed_key
from adapters.spool import digest
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


DIGESTS = [digest(b"%d" % number) for number in range(2500)]


@pytest.fixture
def confirmations(valkey: "redis.Redis", valkey_url: str) -> Iterator[RedisConfirmations]:
    connection = RedisConnection(valkey_url)
    yield RedisConfirmations(connection, shards=3)
    connection.close()


def read_all(confirmations: RedisConfirmations) -> list[bytes]:
    digests, more = confirmations.confirmed()
    return [*digests, *(read_all(confirmations) if more else ())]


def test_what_is_confirmed_is_read_once_by_everyone_in_order(
    valkey: "redis.Redis", valkey_url: str, confirmations: RedisConfirmations
) -> None:
    confirmations.confirm(DIGESTS)
    assert read_all(confirmations) == DIGESTS
    confirmations.confirm(DIGESTS[:1])
    assert read_all(confirmations) == DIGESTS[:1]
    connection = RedisConnection(valkey_url)
    assert read_all(RedisConfirmations(connection, shards=3)) == [*DIGESTS, *DIGESTS[:1]]
    connection.close()
    assert 0 < valkey.ttl(KEY) <= RETAIN_SECONDS


def test_old_confirmations_are_forgotten_by_the_servers_clock(
    valkey: "redis.Redis", confirmations: RedisConfirmations
) -> None:
    valkey.xadd(KEY, {"d": DIGESTS[0]}, id="1-0")
    confirmations.confirm(DIGESTS[1:2])
    assert read_all(confirmations) == DIGESTS[:2]
    confirmations.confirm(DIGESTS[2:3])
    assert valkey.xlen(KEY) == 2
    assert len(valkey.xrange(KEY, "1-0", "1-0") or ()) == 0


def test_after_a_switch_to_a_primary_that_lost_the_end_everything_is_read_again(
    valkey: "redis.Redis", confirmations: RedisConfirmations
) -> None:
    valkey.xadd(KEY, {"d": DIGESTS[0]}, id="5-0")
    valkey.xadd(KEY, {"d": DIGESTS[1]}, id="9-0")
    assert read_all(confirmations) == DIGESTS[:2]
    valkey.delete(KEY)
    valkey.xadd(KEY, {"d": DIGESTS[0]}, id="5-0")
    valkey.xadd(KEY, {"d": DIGESTS[2]}, id="6-0")
    assert read_all(confirmations) == [DIGESTS[0], DIGESTS[2]]
    assert read_all(confirmations) == []


def test_a_look_says_the_oldest_and_newest_entry_of_each_shard(
    valkey: "redis.Redis", confirmations: RedisConfirmations
) -> None:
    for entry_id in ("3-1", "12-0", "12-10"):
        valkey.xadd("outbox:0", {"e": b"x"}, id=entry_id)
    valkey.xadd("outbox:2", {"e": b"x"}, id="7-0")
    assert confirmations.look() == Sight({0: (3, 1), 2: (7, 0)}, {0: (12, 10), 2: (7, 0)})


def test_confirming_without_redis_is_a_passing_error() -> None:
    connection = RedisConnection("redis://127.0.0.1:1/0")
    with pytest.raises(Transient):
        RedisConfirmations(connection, shards=1).confirm(DIGESTS[:1])
    connection.close()
