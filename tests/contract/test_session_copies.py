"""The copies of sessions that the request path reads: the contract of `SessionCopies`."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import permutations

import pytest
import zstandard

from adapters.redis_connection import RedisConnection
from adapters.redis_sessions import COMPRESSED_BYTES, RedisSessions, decode_copy, encode_history
from domain.errors import Malformed
from domain.ports import SessionCopies
from domain.sessions import Session
from tests.fakes import NOW, FakeSessionCopies
from tests.samples import turn

OWNER_SECONDS = 30 * 86_400
FOREIGN = 0
AT = int(NOW * 1_000_000)
"""A revision: the table's are microseconds."""


@dataclass
class Desk:
    """The copies, and readers of them and of who owns a session."""

    copies: SessionCopies
    read: Callable[[str], Session | None]
    owner: Callable[[str], str | None]


@pytest.fixture(params=["fake", "redis"])
def desk(request: pytest.FixtureRequest) -> Desk:
    if request.param == "fake":
        fake = FakeSessionCopies()
        return Desk(fake, fake.copies.get, fake.owners.get)
    connection: RedisConnection = request.getfixturevalue("redis_connection")

    def read(session_id: str) -> Session | None:
        stored = connection.client.get(f"session:{session_id}")
        return None if stored is None else decode_copy(stored)

    def owner(session_id: str) -> str | None:
        stored = connection.client.get(f"session_owner:{session_id}")
        return None if stored is None else bytes(stored).decode()

    return Desk(over(connection), read, owner)


def over(connection: RedisConnection) -> RedisSessions:
    return RedisSessions(
        connection, copy_seconds=300, history_seconds=3000, owner_seconds=OWNER_SECONDS
    )


def session(session_id: str, *ats: int, owner: str = "ann") -> Session:
    """Turns at these seconds, of a revision that grows with the last."""
    turns = [turn(f"e{at}", NOW + at) for at in ats]
    return Session(session_id, owner, revision=AT + max(ats)).with_turns(turns)


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
            desk.copies.put([replace(state, session_id=name)])
        found = desk.read(name)
        assert found is not None
        assert len(found.turns) == 3


def test_a_pruned_session_replaces_the_one_with_older_turns(
    redis_connection: RedisConnection,
) -> None:
    copies = over(redis_connection)
    copies.put([session("a", 2, 3, 4)])
    copies.put([session("a", 1, 2, 3)])
    assert stored(redis_connection, "session:a") == session("a", 2, 3, 4)
    assert stored(redis_connection, "session_history:a") == session("a", 2, 3, 4)


def stored(connection: RedisConnection, key: str) -> Session:
    return decode_copy(connection.client.get(key))


def test_the_short_copy_has_the_last_turns_and_the_history_all(
    redis_connection: RedisConnection,
) -> None:
    whole = replace(session("a", *range(40)), summary="要約", summarised_through="9#e")
    over(redis_connection).put([whole])
    assert stored(redis_connection, "session:a") == whole.last()
    assert stored(redis_connection, "session_history:a") == whole


def test_a_long_history_is_compressed_and_still_replaced_by_newer_ones_alone(
    redis_connection: RedisConnection,
) -> None:
    copies = over(redis_connection)
    for size in (10, 40, 30, 50, 20):
        copies.put([session("a", *range(size))])
    packed = redis_connection.client.get("session_history:a")
    assert packed.startswith(b"zstd ")
    assert stored(redis_connection, "session_history:a") == session("a", *range(50))
    assert redis_connection.client.strlen("session_history:a") < COMPRESSED_BYTES
    assert 300 < redis_connection.client.ttl("session_history:a") <= 3000


def test_a_history_that_would_fill_the_memory_is_malformed() -> None:
    bomb = b"zstd 1.0 " + zstandard.ZstdCompressor().compress(bytes(64 * 1024 * 1024))
    with pytest.raises(Malformed):
        decode_copy(bomb)
    whole = encode_history(session("a", *range(50)))
    later = whole.replace(b"zstd ", b"zstd 1", 1)
    for damaged in (whole[:-9], whole.replace(b"zstd ", b"zstx "), b"zstd ", b"zstd 1 x", later):
        with pytest.raises(Malformed):
            decode_copy(damaged)


def test_a_copy_expires(redis_connection: RedisConnection) -> None:
    over(redis_connection).put([session("a", 1)])
    assert 0 < redis_connection.client.ttl("session:a") <= 300


@pytest.mark.parametrize("owner", ["ann", ""])
def test_an_owner_who_was_displaced_is_restored(desk: Desk, owner: str) -> None:
    desk.copies.restore_owner("a", "bob")
    for _ in range(2):
        desk.copies.restore_owner("a", owner)
        assert desk.owner("a") == owner
    assert desk.owner("b") is None


def serve(connection: RedisConnection, owner: str) -> list[object]:
    keys = ["answer", "answer", "session_owner:a", "outbox"]
    found: list[object] = connection.call("ma3_serve", keys, owner, OWNER_SECONDS, b"event")
    return found


@pytest.mark.parametrize(
    ("mode", "again"), [("require", [4, 2, b"generic"]), ("tell", [4, 1, b"own"])]
)
def test_a_question_is_the_first_of_its_session_once(
    redis_connection: RedisConnection, mode: str, again: list[object]
) -> None:
    redis_connection.client.mset({"own": "own", "generic": "generic"})

    def ask(owner: str, *keys: str) -> object:
        of_session = [*keys, "session_owner:a", "outbox"]
        return redis_connection.call(
            "ma3_serve_first", of_session, owner, OWNER_SECONDS, b"event", mode
        )

    assert ask("ann", "own", "generic") == [1, b"own"]
    assert ask("ann", "own", "generic") == again
    assert ask("bob", "own", "generic") == [FOREIGN]
    assert ask("ann", "none", "nor this") == [4, 3]
    entries = redis_connection.client.xrange("outbox")
    assert [fields.get(b"f") for _, fields in entries] == [b"1", b"%d" % again[1], None]  # type: ignore[str-format]


def test_a_restored_owner_is_served_and_his_displacer_is_not(
    redis_connection: RedisConnection,
) -> None:
    assert serve(redis_connection, "bob") != [FOREIGN]
    over(redis_connection).restore_owner("a", "ann")
    assert serve(redis_connection, "bob") == [FOREIGN]
    assert serve(redis_connection, "ann") != [FOREIGN]


@pytest.mark.parametrize("left", [OWNER_SECONDS - 1, OWNER_SECONDS // 2 + 1, 1])
def test_an_owner_is_remembered_as_long_after_a_turn_as_the_session_is_kept(
    redis_connection: RedisConnection, left: int
) -> None:
    over(redis_connection).restore_owner("a", "ann")
    assert OWNER_SECONDS - 300 < redis_connection.client.ttl("session_owner:a") <= OWNER_SECONDS
    redis_connection.client.expire("session_owner:a", left)
    over(redis_connection).put([Session("a", "ann")])
    assert redis_connection.client.ttl("session_owner:a") > OWNER_SECONDS - 300


def test_an_owner_is_not_written_anew_for_every_question(
    redis_connection: RedisConnection,
) -> None:
    serve(redis_connection, "ann")
    redis_connection.client.expire("session_owner:a", OWNER_SECONDS + 100)
    serve(redis_connection, "ann")
    assert redis_connection.client.ttl("session_owner:a") <= OWNER_SECONDS + 100


@pytest.mark.parametrize("stored", [b"", b"{}", b"[]", b"\xff", b"[" * 100_000])
def test_anything_but_a_copy_is_malformed(stored: bytes) -> None:
    with pytest.raises(Malformed):
        decode_copy(stored)


BEFORE = replace(session("s", 1, 2), summary="evil", summarised_through=turn("e0").place)
ASKED = BEFORE.with_turns([replace(turn("e3", NOW + 3), answer_preview="")])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (BEFORE, replace(BEFORE, summary="good")),
        (BEFORE, replace(BEFORE, summarised_through=turn("e1", NOW + 1).place)),
        (BEFORE, BEFORE.with_turns([BEFORE.turns["e1"].retracted("taken back")])),
        (ASKED, ASKED.with_turns([turn("e3", NOW + 3)])),
        (BEFORE, session("s", 9)),
        (BEFORE, session("s", 1)),
    ],
    ids=["reworded", "summarised", "taken back", "answered", "others", "fewer turns"],
)
def test_of_two_copies_the_one_of_the_later_revision_stays(
    desk: Desk, before: Session, after: Session
) -> None:
    before, after = replace(before, revision=AT), replace(after, revision=AT + 1)
    for number, order in enumerate(((before, after), (after, before), (before, after, before))):
        name = str(number)
        for put in order:
            desk.copies.put([replace(put, session_id=name)])
        found = desk.read(name)
        assert found is not None
        assert (found, found.revision) == (replace(after, session_id=name), AT + 1)
