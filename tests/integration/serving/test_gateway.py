"""API Gateway's WebSocket API over the same chat route: its routes, and our posts at the wire."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from itertools import count

import httpx
import pytest

from adapters.apigateway_posts import ApiGatewayPosts
from adapters.aws_clients import AwsClients, Limits
from adapters.redis_connections import LIFE_SECONDS, RedisConnections
from adapters.redis_kept import KeptRedis
from domain.answers import AnswerKey
from domain.events import AnswerServed
from serving.asgi import application
from serving.asked import Asked
from serving.conversation_meters import ConversationMeters
from serving.frames import MessageFrame
from serving.gateway import GatewayRoutes
from serving.gateway_line import Outgoing
from serving.gateway_watch import watch
from serving.switchboard import MAX_OF_USER
from tests.integration.serving.api_gateway import ApiGateway
from tests.integration.serving.processes import Valkey
from tests.unit.serving.fakes import NOW, RequestPath, request_path, stored
from tests.unit.serving.talk import ExpiringCallers, auth, message

SECONDS = 60.0
TRENDING = AnswerKey("trending", "", "en").redis_key()
_ids = count()


@dataclass
class Site:
    """Our side, and API Gateway's."""

    client: httpx.AsyncClient
    gateway: ApiGateway
    outgoing: Outgoing
    path: RequestPath
    callers: ExpiringCallers
    valkey: Valkey
    connection_id: str = field(default_factory=lambda: f"con-{next(_ids)}=")

    async def send(self, route: str, body: bytes = b"", **headers: str) -> httpx.Response:
        sent = {"x-gateway-key": "secret", "connectionId": self.connection_id, **headers}
        response = await self.client.post(f"/v1/gateway/{route}", content=body, headers=sent)
        await self.outgoing.settled()
        return response

    async def connect(self, query: str = "?session_id=s-1", **headers: str) -> httpx.Response:
        return await self.send(f"connect{query}", b"", **headers)

    @property
    def received(self) -> list[dict[str, object]]:
        return self.gateway.connect(self.connection_id)

    def codes(self) -> list[object]:
        return [frame.get("code", frame["type"]) for frame in self.received]


@pytest.fixture(scope="module")
def gateway() -> Iterator[ApiGateway]:
    gateway = ApiGateway()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", gateway.url)
        environment.setenv("AWS_REGION", "ap-northeast-1")
        environment.setenv("AWS_ACCESS_KEY_ID", "test")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "test")
        yield gateway
    gateway.stop()


@pytest.fixture(scope="module")
def posts(gateway: ApiGateway) -> Iterator[ApiGatewayPosts]:
    aws = AwsClients(Limits(SECONDS, SECONDS))
    yield ApiGatewayPosts(aws)
    aws.close()


@pytest.fixture
async def site(valkey: Valkey, gateway: ApiGateway, posts: ApiGatewayPosts) -> AsyncIterator[Site]:
    path = request_path()
    path.stock.answers[TRENDING] = stored()
    callers = ExpiringCallers(path)
    redis = KeptRedis(valkey.url, name="test")
    redis.start()
    while not redis.up:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.01)
    connections = RedisConnections(
        redis, of_user=MAX_OF_USER, window_seconds=10.0, clock=lambda: NOW
    )
    counted = ConversationMeters(path.registry)
    outgoing = Outgoing(posts, counted, lambda gone: connections.forget(gone, SECONDS))
    routes = GatewayRoutes(
        key="secret",
        chat=path.chat,
        gate=callers,
        connections=connections,
        outgoing=outgoing,
        meters=path.meters,
        counted=counted,
        allowed_origins=frozenset({"https://shop.test"}),
        redis_seconds=SECONDS,
        clock=lambda: callers.now,
    ).routes()
    app = application(
        routes, {}, refused=path.meters.refused, allowed_origins=frozenset(), lifespan=None
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield Site(client, gateway, outgoing, path, callers, valkey)
    await redis.close()


async def test_an_answer_is_posted_to_the_connection(site: Site) -> None:
    assert (await site.connect(Authorization="Bearer alice")).status_code == 200
    _ = site.received
    assert (await site.send("default", message())).content == b""
    (frame,) = site.received
    assert (frame["type"], frame["message_id"], frame["source"]) == ("answer", "m-1", "precomputed")
    (event,) = site.path.stock.events
    assert isinstance(event, AnswerServed)
    assert (event.owner, event.session_id, event.event_id) == ("alice", "s-1", frame["event_id"])
    assert site.path.registry.sums[("requests_total", "gateway", "precomputed")] == 1


async def test_who_speaks_is_said_by_the_first_frame_as_well(site: Site) -> None:
    await site.connect()
    received = site.received
    await site.send("default", auth("alice"))
    await site.send("default", message())
    await site.send("default", auth("bob"))
    assert [frame.get("code", frame["type"]) for frame in received] == ["answer", "forbidden"]
    assert site.path.stock.events[0].owner == "alice"  # type: ignore[attr-defined]
    assert site.connection_id not in site.gateway.open


async def test_a_message_as_the_first_frame_is_from_somebody_not_signed_in(site: Site) -> None:
    await site.connect()
    _ = site.received
    await site.send("default", message())
    await site.send("default", auth("alice"))
    await site.send("default", message(message_id="m-2"))
    assert site.codes() == ["answer", "malformed", "answer"]
    assert {event.owner for event in site.path.stock.events} == {""}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("?session_id=s", {"x-gateway-key": "wrong"}, 403),
        ("?session_id=s", {"x-gateway-key": ""}, 403),
        ("?session_id=s", {"x-gateway-key": "sécret"}, 403),
        ("?session_id=s", {"Origin": "https://evil.test"}, 403),
        ("?session_id=s", {"Authorization": "Bearer 1"}, 401),
        ("?session_id=s", {"connectionId": ""}, 400),
        ("?session_id=s", {"connectionId": "a/../b"}, 400),
        ("?session_id=a%20b", {}, 422),
        ("", {}, 422),
    ],
)
async def test_a_connection_that_may_not_be_is_refused(
    site: Site, query: str, headers: dict[str, str], status: int
) -> None:
    encoded = {name: value.encode() for name, value in headers.items()}
    assert (await site.connect(query, **encoded)).status_code == status  # type: ignore[arg-type]
    assert (await site.connect(Origin="https://shop.test")).status_code == 200


@pytest.mark.parametrize("frame", [b"", b"\xff", b"{}", b"[" * 30_000, message("  ")])
async def test_a_frame_that_is_none_is_told(site: Site, frame: bytes) -> None:
    await site.connect()
    _ = site.received
    assert (await site.send("default", frame)).status_code == 200
    assert site.codes()[0] in {"malformed", "invalid"}
    assert (await site.send("default", b"x" * 40_000)).status_code == 413
    await site.send("default", message())
    assert site.codes()[-1] == "answer"


async def test_an_expired_token_ends_the_connection(site: Site) -> None:
    await site.connect(Authorization="Bearer alice:60")
    received = site.received
    site.callers.now = NOW + 60
    await site.send("default", message())
    assert [frame["code"] for frame in received] == ["unauthorized"]
    assert site.connection_id not in site.gateway.open
    assert site.path.stock.events == []


async def test_messages_are_limited_whichever_process_gets_them(site: Site) -> None:
    await site.connect()
    _ = site.received
    for number in range(22):
        await site.send("default", message(message_id=f"m-{number}"))
    assert site.codes() == ["answer"] * 20 + ["too_many_messages"] * 2


async def test_a_user_has_a_few_connections_and_gets_them_back(site: Site) -> None:
    bearer = f"Bearer many{'x' * (next(_ids) % 7)}"
    for number in range(MAX_OF_USER):
        site.connection_id = f"many-{number}"
        assert (await site.connect(Authorization=bearer)).status_code == 200
        assert (await site.connect(Authorization=bearer)).status_code == 200
    site.connection_id = "many-more"
    assert (await site.connect(Authorization=bearer)).status_code == 429
    await site.send("disconnect", connectionId="many-0")
    assert (await site.connect(Authorization=bearer)).status_code == 200


async def test_a_client_that_has_gone_is_forgotten(site: Site) -> None:
    await site.connect(Authorization="Bearer gone")
    assert (await site.send("default", message())).status_code == 200
    with site.valkey.client() as client:
        assert client.exists(f"ws:{site.connection_id}", "ws_user:gone") == 0
    _ = site.received
    await site.send("default", message())
    assert site.connection_id not in site.gateway.open


async def test_who_leaves_is_heard_though_nothing_more_is_taken_on(site: Site) -> None:
    await site.connect(Authorization="Bearer leaving")
    site.outgoing.line(site.connection_id).ask(MessageFrame(message="still open"), 0.0)
    site.outgoing.limit = 1
    assert (await site.send("default", message())).status_code == 429
    assert (await site.send("disconnect")).status_code == 200
    with site.valkey.client() as client:
        assert client.exists(f"ws:{site.connection_id}", "ws_user:leaving") == 0
    assert not site.outgoing.is_full


async def test_a_post_that_is_throttled_comes_again(site: Site) -> None:
    await site.connect()
    _ = site.received
    site.gateway.faults = [429]
    await site.send("default", message())
    assert site.codes() == ["answer"]


async def test_a_post_that_fails_for_good_is_counted(site: Site) -> None:
    await site.connect()
    _ = site.received
    site.gateway.faults = [403]
    await site.send("default", message())
    assert site.path.registry.sums[("ws_messages_total", "undelivered")] == 1


async def test_what_is_known_of_a_connection_expires_with_it(site: Site) -> None:
    await site.connect(Authorization="Bearer alice")
    with site.valkey.client() as client:
        for key in (f"ws:{site.connection_id}", "ws_user:alice"):
            assert 0 < client.ttl(key) <= LIFE_SECONDS
        assert b"Bearer" not in client.get(f"ws:{site.connection_id}")


@pytest.fixture
async def other(valkey: Valkey) -> AsyncIterator[RedisConnections]:
    """What another process knows of the connections."""
    redis = KeptRedis(valkey.url, name="other")
    redis.start()
    while not redis.up:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.01)
    yield RedisConnections(redis, of_user=MAX_OF_USER, window_seconds=10.0, clock=lambda: NOW)
    await redis.close()


def asking(site: Site, connection_id: str) -> tuple[Asked, asyncio.Event]:
    """A question whose answer is being made, and what tells when nobody waits for it any more."""
    ended = asyncio.Event()
    asked = site.outgoing.line(connection_id).ask(MessageFrame(message="q"), 0.0)
    asked.when_abandoned(ended.set)
    return asked, ended


async def test_a_client_that_is_told_of_as_gone_ends_what_it_asked(site: Site) -> None:
    await site.connect()
    asked, ended = asking(site, site.connection_id)
    asked.token("a piece")  # API Gateway knows no such client, and says 410
    async with asyncio.timeout(SECONDS):
        await ended.wait()


async def test_who_disconnects_from_another_process_ends_what_this_one_makes(
    site: Site, other: RedisConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.gateway_watch.LOOK_SECONDS", 0.01)
    await site.connect()
    _, ended = asking(site, site.connection_id)
    _, stays = asking(site, "another-connection")
    watching = asyncio.create_task(watch(site.outgoing, other, SECONDS))
    await asyncio.sleep(0.05)
    assert not ended.is_set()
    await other.forget(site.connection_id, SECONDS)
    async with asyncio.timeout(SECONDS):
        await ended.wait()
    assert not stays.is_set()
    assert site.outgoing.asking == ["another-connection"]
    watching.cancel()
    site.outgoing.left("another-connection")
