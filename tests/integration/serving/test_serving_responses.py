"""The functions of the response cache in a real Valkey, as the request path calls them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters.redis_connection import RedisConnection
from adapters.redis_kept import KeptRedis
from adapters.redis_responses import RedisResponses
from adapters.redis_serving_responses import Claim, Mine, ServingResponses, Shared
from adapters.response_wire import ResponseWire
from domain.answers import AnswerKey, Header
from domain.ports import Written
from domain.response_cache import StoredResponse
from tests.integration.serving.processes import Valkey
from tests.samples import answer, response

SECONDS = 60.0
WIRE = ResponseWire("secret", compress_bytes=1024)
KEY = response().key


@pytest.fixture
def client(valkey: Valkey) -> Any:
    client = valkey.client()
    client.flushall()
    return client


@pytest.fixture
async def store(valkey: Valkey, client: Any) -> AsyncIterator[ServingResponses]:
    bulk = KeptRedis(valkey.url, name="test")
    bulk.start()
    while not bulk.up:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.01)
    yield ServingResponses(bulk, shards=1, lease_seconds=60)
    await bulk.close()


def packed(made: StoredResponse) -> bytes:
    stored = WIRE.pack(made)
    assert stored is not None
    return stored


async def share(store: ServingResponses, made: StoredResponse, token: str) -> Written:
    shared = await shared_as(store, made, token)
    assert shared.unwritten is None
    return shared.written


async def shared_as(store: ServingResponses, made: StoredResponse, token: str) -> Shared:
    return await store.share(
        made, packed(made), token=token, kept_seconds=60, event=b"event", seconds=SECONDS
    )


async def test_one_of_many_gets_the_lease_and_the_others_its_response(
    store: ServingResponses,
) -> None:
    claims = [await store.claim(KEY, token, -1, SECONDS) for token in ("a", "b", "a")]
    assert claims == [Mine(), Claim.ANOTHERS, Mine()]
    made = response()
    assert await share(store, made, "a") is Written.APPLIED
    assert await store.claim(KEY, "b", -1, SECONDS) == packed(made)
    assert await store.claim(KEY, "b", made.version, SECONDS) == Mine()


async def test_a_lease_is_given_back_by_its_holder_alone(store: ServingResponses) -> None:
    await store.claim(KEY, "a", -1, SECONDS)
    await store.release(KEY, "b", 60, SECONDS)
    assert await store.claim(KEY, "c", -1, SECONDS) is Claim.ANOTHERS
    await store.release(KEY, "a", 60, SECONDS)
    assert await store.claim(KEY, "c", -1, SECONDS) is Claim.FAILING


async def test_who_lost_the_lease_does_not_end_that_of_the_next_one(
    store: ServingResponses, client: Any
) -> None:
    await store.claim(KEY, "slow", -1, SECONDS)
    for lease in client.keys("response_lease:*"):  # it expires
        client.delete(lease)
    await store.claim(KEY, "next", -1, SECONDS)
    await share(store, response("slow"), "slow")
    assert await store.claim(KEY, "other", response().version, SECONDS) is Claim.ANOTHERS


async def test_an_older_response_does_not_replace_a_newer_one(store: ServingResponses) -> None:
    new = response("new", after=response().version)
    assert await share(store, new, "a") is Written.APPLIED
    assert await share(store, response("old"), "b") is Written.SUPERSEDED
    assert await store.claim(KEY, "c", -1, SECONDS) == packed(new)


async def test_what_a_worker_took_back_is_not_shared_again(
    store: ServingResponses, valkey: Valkey
) -> None:
    workers = RedisConnection(valkey.url)
    bad = response("bad" * 1000)
    assert await share(store, bad, "a") is Written.APPLIED
    assert RedisResponses(workers, WIRE, tombstone_seconds=60).retract(bad)
    workers.close()
    told = Mine(frozenset({bad.fingerprint}))
    assert await store.claim(KEY, "b", -1, SECONDS) == told
    again = response("bad" * 1000, after=bad.version)
    assert await share(store, again, "b") is Written.RETRACTED
    assert await store.claim(KEY, "c", -1, SECONDS) == told, "the lease ends all the same"


async def test_whatever_else_lies_under_the_key_is_replaced(
    store: ServingResponses, client: Any
) -> None:
    client.hset(KEY, "a", "b")
    assert await store.claim(KEY, "a", -1, SECONDS) == Mine()
    assert await share(store, response(), "a") is Written.APPLIED
    client.set(KEY, b"garbage")
    assert await store.claim(KEY, "a", -1, SECONDS) == Mine()
    plain = answer(AnswerKey("trending", "", "en"), 7).pack()
    client.set(KEY, plain)
    assert await store.claim(KEY, "b", -1, SECONDS) == plain
    await store.drop(KEY, b"another", SECONDS)
    assert client.get(KEY) == plain
    await store.drop(KEY, plain, SECONDS)
    assert client.get(KEY) is None


async def test_an_event_that_is_not_written_is_told(store: ServingResponses, client: Any) -> None:
    client.set("outbox:0", "no stream")
    shared = await shared_as(store, response(), "a")
    assert shared.written is Written.APPLIED
    assert shared.unwritten is not None


async def test_comparisons_are_counted_by_all_processes(store: ServingResponses) -> None:
    assert await store.tallied(SECONDS) == (0, 0)
    for is_wrong in (False, True, False):
        counted = await store.tally(is_wrong=is_wrong, kept_seconds=60, seconds=SECONDS)
    assert counted == await store.tallied(SECONDS) == (3, 1)


async def test_the_one_round_trip_of_a_question_reads_a_response_as_an_answer(
    valkey: Valkey, store: ServingResponses, client: Any
) -> None:
    """`ma3_serve` passes it on and puts its header beside the event, as with any answer."""
    made = response("long " * 1000)
    await share(store, made, "a")
    found, stored = client.fcall(
        "ma3_serve", 4, KEY, KEY, "session_owner:s", "outbox:1", "u", "60", b"event"
    )
    assert stored == packed(made)
    assert found in {1, 2}
    ((_, fields),) = client.xrange("outbox:1")
    assert Header.unpack(fields[b"h"]).version == made.version
    assert Header.unpack(fields[b"h"]).preview(fields[b"h"]) == made.preview
