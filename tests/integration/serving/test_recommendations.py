"""Recommendations over HTTP, the short way and the long one, before a real Redis."""

import time

import msgspec
import pytest

from adapters.event_jobs import translate
from adapters.msgpack_wire import decode_event
from adapters.redis_hot_users import (
    decode_features,
    encode_features,
    features_key,
    interactions_key,
    seen_key,
)
from config import texts
from domain.catalogue import Title
from domain.events import RecommendationComputed, RecommendationServed
from domain.features import GroupRecord, UserFeatures
from domain.jobs import RefreshRecommendation
from domain.personal_answers import Lifetime, store
from serving.models import ChatReply
from tests.integration.serving.client import Connection
from tests.integration.serving.processes import Serving, Valkey, token
from tests.integration.serving.serving_app import CATALOGUE_VERSION


def request(user: str | None = None, target: str = "/v1/recommendations") -> bytes:
    authorization = f"Authorization: Bearer {token(user)}\r\n" if user else ""
    return f"GET {target} HTTP/1.1\r\nHost: test\r\n{authorization}\r\n".encode()


def put_own(valkey: Valkey, user: str, catalogue_version: str = CATALOGUE_VERSION) -> None:
    rows = [(Title(name, f"Own {name}"), 1.0) for name in ("own-0", "own-1", "t0")]
    stored = store(
        user,
        rows,
        texts.declared(),
        time.time(),
        Lifetime(900, 9000),
        catalogue_version=catalogue_version,
    )
    with valkey.client() as client:
        client.set(f"reco:{user}", stored.pack(), ex=900)


@pytest.mark.parametrize("target", ["/v1/recommendations", "/v1/recommendations?limit=2"])
async def test_a_stored_one_is_sent_either_way(serving: Serving, target: str) -> None:
    put_own(serving.valkey, "hana")
    connection = await Connection.to(serving)
    for _ in range(2):
        reply = await connection.send(request("hana", target))
        assert reply.status == 200
        read = msgspec.json.decode(reply.body, type=ChatReply)
        assert (read.source, read.answer.kind) == ("precomputed", "recommendation")
        assert [item.id for item in read.answer.items][:2] == ["own-0", "own-1"]
        assert len(read.answer.items) == (2 if "limit" in target else 3)
        assert reply.headers["x-event-id"] == read.event_id
        assert "feature_store;dur=0.000" in reply.headers["server-timing"]
    await connection.close()


async def test_of_one_of_another_catalogue_what_this_one_has_is_sent_and_filled_up(
    serving: Serving,
) -> None:
    put_own(serving.valkey, "kenji", catalogue_version="before")
    connection = await Connection.to(serving)
    reply = await connection.send(request("kenji"))
    read = msgspec.json.decode(reply.body, type=ChatReply)
    titles = [item.title for item in read.answer.items]
    assert (read.source, titles[:2], len(titles)) == ("stale", ["Title 0", "Title 19"], 10)
    assert b"own" not in reply.body.lower()
    assert "model;dur=0.000" in reply.headers["server-timing"]
    with serving.valkey.client() as client:
        entry = client.xrevrange("outbox:0", count=1)[0][1]
    jobs = dict(translate(entry).jobs)
    assert RefreshRecommendation.kind in jobs, "a worker makes it anew"
    await connection.close()


async def test_what_is_damaged_does_not_stay_to_pass_for_newer(serving: Serving) -> None:
    with serving.valkey.client() as client:
        put_own(serving.valkey, "bob")
        stored = client.get("reco:bob")
        client.set("reco:bob", stored[:-1], ex=900)
        client.set(features_key("eve"), b'{"newness":9e99}', ex=300)
    connection = await Connection.to(serving)
    for user in ("bob", "eve"):
        assert (await connection.send(request(user))).status == 200
    await connection.send(request("bob"))
    with serving.valkey.client() as client:
        assert client.get("reco:bob") is None
        assert decode_features(client.get(features_key("eve")), "eve").groups == {}
    await connection.close()


async def test_of_whom_nothing_is_known_that_is_remembered_for_all_processes(
    serving: Serving,
) -> None:
    connection = await Connection.to(serving)
    for _ in range(2):  # the second finds it after the first wrote it
        assert (await connection.send(request("never-seen"))).status == 200
    with serving.valkey.client() as client:
        for key in (features_key("never-seen"), seen_key("never-seen")):
            assert 0 < client.ttl(key) <= 60
        stored = client.get(features_key("never-seen"))
        assert decode_features(stored, "never-seen") == UserFeatures("never-seen", {})
    await connection.close()


async def test_one_is_made_from_dynamodb_and_handed_over(serving: Serving) -> None:
    connection = await Connection.to(serving)
    reply = await connection.send(request("alice"))
    read = msgspec.json.decode(reply.body, type=ChatReply)
    assert (read.source, read.answer.items[0].id) == ("model", "t0")
    with serving.valkey.client() as client:
        events = [decode_event(fields[b"e"]) for _, fields in client.xrange("outbox:0")]
    served = [one for one in events if isinstance(one, RecommendationServed)]
    computed = [one for one in events if isinstance(one, RecommendationComputed)]
    assert served[-1].owner == computed[-1].user_id == "alice"
    assert served[-1].event_id == read.event_id
    await connection.close()


async def test_one_is_made_of_what_redis_holds_of_a_user(serving: Serving) -> None:
    record = GroupRecord(time.time(), {"favourite_genres": "Action"})
    with serving.valkey.client() as client:
        copy = encode_features(UserFeatures("here", {"user-profile": record}))
        client.set(features_key("here"), copy, ex=300)
        client.zadd(interactions_key("here"), {"t0": 2.0, "t2": 1.0})
        client.set(features_key("thief"), copy, ex=300)
    connection = await Connection.to(serving)
    reply = await connection.send(request("here"))
    read = msgspec.json.decode(reply.body, type=ChatReply)
    assert read.source == "model"
    assert [item.id for item in read.answer.items][:2] == ["t1", "t3"], "what is known is left out"
    assert "dynamodb;dur=0.000" in reply.headers["server-timing"]
    thief = msgspec.json.decode((await connection.send(request("thief"))).body, type=ChatReply)
    assert thief.source == "fallback", "another's copy is none"
    await connection.close()


async def test_others_get_popular_titles(serving: Serving) -> None:
    connection = await Connection.to(serving)
    for user, source in ((None, "precomputed"), ("nobody-known", "fallback")):
        reply = await connection.send(request(user))
        read = msgspec.json.decode(reply.body, type=ChatReply)
        assert (read.source, read.answer.text) == (source, "recommendation in ja")
    await connection.close()


async def test_a_recommendation_is_read_and_not_posted(serving: Serving) -> None:
    posted = b"POST /v1/recommendations HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n"
    connection = await Connection.to(serving)
    assert (await connection.send(posted)).status == 405
    assert (await connection.send(request("hana", "/v1/recommendations?limit=x"))).status == 422
    broken = request().replace(b"\r\n\r\n", b"\r\nAuthorization: Bearer no.no.no\r\n\r\n")
    assert (await connection.send(broken)).status == 401
    await connection.close()
