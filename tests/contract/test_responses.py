"""The contract of `Responses`, held by the fake and by Redis."""

from collections.abc import Callable

import pytest

from adapters.redis_connection import RedisConnection
from adapters.redis_responses import RedisResponses
from adapters.response_wire import ResponseWire
from domain.errors import Malformed
from domain.ports import Responses, Written
from domain.response_cache import StoredResponse
from tests.fakes import FakeResponses
from tests.samples import asked, response

WIRE = ResponseWire("secret", compress_bytes=1024)

Seal = Callable[[StoredResponse], bytes]


@pytest.fixture(params=["fake", "redis"])
def store(request: pytest.FixtureRequest) -> tuple[Responses, Seal]:
    if request.param == "redis":
        connection: RedisConnection = request.getfixturevalue("redis_connection")
        return RedisResponses(connection, WIRE, tombstone_seconds=60), _packed
    fake = FakeResponses()

    def seal(made: StoredResponse) -> bytes:
        stored = _packed(made)
        fake.sealed[stored] = WIRE.unpack(stored, made.key)
        return stored

    return fake, seal


def _packed(made: StoredResponse) -> bytes:
    stored = WIRE.pack(made)
    assert stored is not None
    return stored


def keep(store: tuple[Responses, Seal], made: StoredResponse) -> Written:
    responses, seal = store
    stored = seal(made)
    return responses.keep(responses.open(made.key, stored), stored, 60.0)


def test_a_newer_response_replaces_an_older_one_and_never_the_other_way(
    store: tuple[Responses, Seal],
) -> None:
    old, new = response("old"), response("new", after=response().version)
    assert keep(store, old) is Written.APPLIED
    assert keep(store, old) is Written.ALREADY_APPLIED
    assert keep(store, new) is Written.APPLIED
    assert keep(store, old) is Written.SUPERSEDED


def test_a_retracted_content_is_not_kept_again_but_another_one_is(
    store: tuple[Responses, Seal],
) -> None:
    bad = response("bad")
    keep(store, bad)
    assert store[0].retract(bad)
    assert not store[0].retract(bad)
    again = response("bad", after=bad.version)
    assert keep(store, again) is Written.RETRACTED
    assert keep(store, response("good", after=again.version)) is Written.APPLIED


def test_a_check_that_comes_before_the_write_is_not_undone_by_it(
    store: tuple[Responses, Seal],
) -> None:
    bad = response("bad")
    assert not store[0].retract(bad)
    assert keep(store, bad) is Written.RETRACTED


def test_retracting_leaves_a_newer_content_and_other_questions_alone(
    store: tuple[Responses, Seal],
) -> None:
    bad, other = response("bad"), response("bad", of=asked("Another question"))
    good = response("good", after=bad.version)
    keep(store, bad)
    keep(store, good)
    assert not store[0].retract(bad)
    assert keep(store, good) is Written.ALREADY_APPLIED
    assert keep(store, other) is Written.APPLIED


def test_bytes_that_were_made_for_another_key_are_refused(store: tuple[Responses, Seal]) -> None:
    responses, seal = store
    stored = seal(response())
    with pytest.raises(Malformed):
        responses.open(asked("Another question").key, stored)
    with pytest.raises(Malformed):
        responses.open(response().key, stored[:-1] + b"!")


def test_a_kept_response_expires_and_so_does_its_tombstone(
    redis_connection: RedisConnection,
) -> None:
    responses = RedisResponses(redis_connection, WIRE, tombstone_seconds=60)
    made = response()
    stored = _packed(made)
    responses.keep(made, stored, 500.0)
    assert 0 < redis_connection.client.ttl(made.key) <= 500
    responses.keep(made, stored, 5000.0)
    assert redis_connection.client.ttl(made.key) > 500, "the lasting entry follows the short one"
    responses.keep(made, stored, 500.0)
    assert redis_connection.client.ttl(made.key) > 500
    responses.retract(made)
    keys = redis_connection.client.keys("*")
    assert len(keys) == 1
    assert 0 < redis_connection.client.ttl(keys[0]) <= 60
