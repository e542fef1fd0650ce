"""The request path while Redis is refused, gone, slow, full, switched or damaged: every question is
answered, every event is kept, and all is well again soon after."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from adapters.msgpack_wire import decode_event
from adapters.redis_answers import RedisAnswers
from adapters.redis_connection import RedisConnection
from adapters.spool import Mark
from config.budgets import Budgets, declared
from domain.answers import Answer, AnswerKey, StoredAnswer, store
from domain.events import AnswerFoundDamaged
from domain.ports import PublishedSet
from tests.faults.proxy import Fault, FaultyProxy, Mode
from tests.integration.serving.client import Connection, Reply, chat, post
from tests.integration.serving.processes import (
    Serving,
    Valkey,
    start_serving,
    stop,
    token,
    wait_until,
)

QUESTION, KEY = "what's popular this week", AnswerKey("trending", "", "en")
NEVER_ASKED = "show me action manga"
GENRE = AnswerKey("genre", "action", "en")
HEALED_SECONDS = 60.0


def answers(kind: str, *keys: AnswerKey) -> tuple[PublishedSet, dict[AnswerKey, StoredAnswer]]:
    now = time.time()
    version = int(now * 1000)
    made = {
        key: store(
            Answer(key, f"{key.kind} {key.slug} in {key.locale}", []),
            version=version, now=now, ttl_seconds=900, hard_ttl_seconds=9000,
        )
        for key in keys
    }  # fmt: skip
    return PublishedSet(kind, version, now, None, len(made)), made


def publish(url: str) -> None:
    connection = RedisConnection(url)
    sets = RedisAnswers(connection)
    sets.publish(*answers("trending", KEY, AnswerKey("trending", "", "ja")))
    sets.publish(*answers("genre", GENRE))
    sets.publish(*answers("fallback", AnswerKey("fallback", "", "en")))
    connection.close()


@dataclass
class Shop:
    """A serving process, a customer and what the customer was told."""

    valkey: Valkey
    serving: Serving
    connection: Connection
    told: list[str] = field(default_factory=list)
    slowest_seconds: float = 0.0

    async def ask(self, message: str = QUESTION, session: str = "s") -> Reply:
        started = time.perf_counter()
        reply = await self.connection.send(chat(message, session))
        self.slowest_seconds = max(self.slowest_seconds, time.perf_counter() - started)
        assert reply.status == 200
        self.told.append(reply.headers["x-event-id"])
        return reply

    async def source(self, message: str = QUESTION) -> str:
        return (await self.ask(message)).headers["x-answer-source"]

    async def until(self, source: str) -> float:
        """Ask until the answer comes from there; how long it took."""
        started = time.perf_counter()
        async with asyncio.timeout(HEALED_SECONDS):
            while await self.source() != source:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
        return time.perf_counter() - started

    def spooled(self, mark: Mark) -> set[str]:
        return self.serving.spooled(mark)

    def outbox(self) -> list[str]:
        with self.valkey.client() as client:
            rows = client.xrange("outbox:0")
        return [decode_event(fields[b"e"]).event_id for _, fields in rows]

    def metric(self, line: str) -> bool:
        return f"mangaassist_{line}" in self.serving.get("/metrics")[2].decode()


@dataclass
class RemoteShop(Shop):
    """One whose way to Redis can be disturbed."""

    proxy: FaultyProxy = field(kw_only=True)

    async def ask(self, message: str = QUESTION, session: str = "s") -> Reply:
        """A slow reply of Redis comes behind the answer, also where this machine is slow too."""
        with self.proxy.holding():
            return await super().ask(message, session)

    async def knows_what_nobody_asked(self) -> None:
        """Cut off from Redis by turns, until it has read the published sets."""
        while True:
            await self.proxy.set(Fault(mode=Mode.REFUSED))
            reply = await self.ask(NEVER_ASKED)
            await self.proxy.set(None)
            await self.until("precomputed")
            if reply.headers["x-answer-source"] == "stale":
                return


@pytest.fixture(scope="module")
def published(valkey: Valkey) -> Valkey:
    publish(valkey.url)
    return valkey


@asynccontextmanager
async def opened(
    published: Valkey, directory: Path, budgets: Budgets | None = None
) -> AsyncIterator[RemoteShop]:
    proxy = FaultyProxy(published.port)
    await proxy.start()
    url = f"redis://127.0.0.1:{proxy.port}/0"
    serving = start_serving(published, directory, url, budgets=budgets)
    try:
        await asyncio.to_thread(wait_until, serving.ready, "the request path is ready")
        connection = await Connection.to(serving)
        yield RemoteShop(published, serving, connection, proxy=proxy)
        await connection.close()
    finally:
        stop(serving)
        await proxy.stop()
        publish(published.url)


@pytest.fixture
async def shop(published: Valkey, serving: Serving) -> AsyncIterator[Shop]:
    """One that waits for Redis as long as that lives, by the process of all who leave it alone."""
    connection = await Connection.to(serving)
    found = Shop(published, serving, connection)
    await found.until("precomputed")
    yield found
    await connection.close()
    publish(published.url)


@pytest.fixture
async def remote_shop(published: Valkey, tmp_path: Path) -> AsyncIterator[RemoteShop]:
    """The same with a way to Redis, and a process, of its own."""
    async with opened(published, tmp_path) as found:
        yield found


@pytest.fixture
async def hurried_shop(published: Valkey, tmp_path: Path) -> AsyncIterator[RemoteShop]:
    """One with the declared budgets."""
    async with opened(published, tmp_path, declared()) as found:
        await found.until("precomputed")
        yield found


@pytest.mark.parametrize("mode", [Mode.REFUSED, Mode.RESET, Mode.BLACK_HOLE, Mode.SLOW])
async def test_whatever_befalls_redis_answers_come_events_stay_and_it_recovers(
    hurried_shop: RemoteShop, mode: Mode
) -> None:
    shop = hurried_shop
    await shop.knows_what_nobody_asked()
    for _ in range(2):
        await shop.proxy.set(Fault(mode=mode))
        attempts, since = shop.proxy.connections, time.monotonic()
        for _ in range(50):
            assert await shop.source() == "stale"
            reply = await shop.ask(NEVER_ASKED)
            assert (reply.text, reply.headers["x-answer-source"]) == (
                "genre action in en",
                "stale",
            )
        await asyncio.sleep(1.0)
        assert shop.proxy.connections - attempts <= 20 * (time.monotonic() - since)
        await shop.proxy.set(None)
        took = await shop.until("precomputed")
        print(f"{mode}: recovered in {took:.3f} s, slowest {shop.slowest_seconds:.4f} s")
    kept = shop.spooled(Mark.SEND) | set(shop.outbox())
    assert set(shop.told) <= kept
    assert shop.metric('events_total{kind="answer.served",outcome="spooled"}')


@pytest.mark.parametrize(
    "each_way_seconds",
    [*(pytest.param(seconds, marks=pytest.mark.soak) for seconds in (0.015, 0.05)), 0.1, 0.25],
)
async def test_a_slow_redis_costs_only_the_first_customers_their_patience(
    hurried_shop: RemoteShop, each_way_seconds: float
) -> None:
    shop = hurried_shop
    await shop.proxy.set(Fault(mode=Mode.SLOW, seconds=each_way_seconds))
    for _ in range(100):
        assert await shop.source() == "stale"
    metrics = shop.serving.get("/metrics")[2].decode()
    name = 'mangaassist_budget_exceeded_total{segment="redis"} '
    late = next(line for line in metrics.splitlines() if line.startswith(name))
    assert float(late.removeprefix(name)) < 20
    await shop.proxy.set(None)
    took = await shop.until("precomputed")
    print(f"{2000 * each_way_seconds:g} ms: {late} late, recovered in {took:.3f} s")


async def test_events_of_customers_that_redis_does_not_take_are_accepted_once(
    remote_shop: RemoteShop,
) -> None:
    shop = remote_shop
    await shop.ask()
    await shop.proxy.set(Fault(mode=Mode.REFUSED))
    await shop.until("stale")
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    events = [
        {"event_id": f"e-{n}", "type": "view", "item_id": "t1", "user_id": "alice",
         "occurred_at": now}
        for n in range(5)
    ]  # fmt: skip
    reply = await shop.connection.send(post("/v1/events", {"events": events}, token("alice")))
    assert reply.json == {"accepted": 5, "rejected": []}
    assert {f"e-{n}" for n in range(5)} <= shop.spooled(Mark.SEND)
    await shop.proxy.set(None)


async def test_a_full_memory_still_answers_freshly_and_the_event_goes_to_the_spool(
    shop: Shop,
) -> None:
    with shop.valkey.client() as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1mb")
        try:
            reply = await shop.ask()
            assert reply.headers["x-answer-source"] == "precomputed"
            assert reply.headers["x-event-id"] in shop.spooled(Mark.SEND)
        finally:
            client.config_set("maxmemory", "0")
    async with asyncio.timeout(HEALED_SECONDS):
        while (await shop.ask()).headers["x-event-id"] not in shop.outbox():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_server_that_becomes_a_replica_costs_one_fresh_answer(
    remote_shop: RemoteShop,
) -> None:
    shop = remote_shop
    await shop.ask()
    connections = shop.proxy.connections
    with shop.valkey.client() as client:
        client.replicaof("127.0.0.1", "1")
        try:
            assert await shop.source() == "stale"
            while shop.proxy.connections == connections:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
        finally:
            client.replicaof("NO", "ONE")
    print(f"replica: recovered in {await shop.until('precomputed'):.3f} s")
    assert set(shop.told) <= shop.spooled(Mark.SEND) | set(shop.outbox())


def spoil(client: redis.Redis, how: str) -> None:
    name = KEY.redis_key()
    if how == "wrong_type":
        client.delete(name)
        client.rpush(name, "x")
    elif how == "truncated":
        client.set(name, client.getrange(name, 0, -2), ex=600)
    elif how == "checksum":
        client.setrange(name, 60, "!!!!")
    elif how == "foreign_key":
        client.copy(GENRE.redis_key(), name, replace=True)
    else:
        client.set(name, "nonsense" * 100, ex=600)


DAMAGES = ["wrong_type", "truncated", "checksum", "foreign_key", "format"]


@pytest.mark.parametrize("how", DAMAGES)
async def test_a_damaged_answer_is_never_shown_and_put_back_from_the_published_set(
    shop: Shop, how: str
) -> None:
    with shop.valkey.client() as client:
        before = client.dump(KEY.redis_key())
        spoil(client, how)
        assert await shop.source() == "fallback"
        async with asyncio.timeout(HEALED_SECONDS):
            # Without asking: whose question is under way meanwhile may find the damage once more.
            while client.dump(KEY.redis_key()) != before:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
        assert await shop.source() == "precomputed"
        assert 0 < client.ttl(KEY.redis_key()) <= 9000
    assert shop.metric(f'answer_invalid_total{{reason="{how}"}} 1')
    assert set(shop.told) <= set(shop.outbox())


async def test_without_a_published_copy_a_damaged_answer_is_made_anew_once(shop: Shop) -> None:
    with shop.valkey.client() as client:
        for name in client.scan_iter("answer_archive:trending:*"):
            client.delete(name)
        spoil(client, "checksum")
        client.delete("outbox:0")
        for _ in range(20):
            assert await shop.source() == "fallback"
        while client.exists(KEY.redis_key()):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
        rows = client.xrange("outbox:0")
    events = [decode_event(fields[b"e"]) for _, fields in rows]
    ((damage),) = [event for event in events if isinstance(event, AnswerFoundDamaged)]
    assert (damage.kind, damage.locale, damage.damage) == ("trending", "en", "checksum")


async def test_a_session_owner_of_a_wrong_type_breaks_no_answer(shop: Shop) -> None:
    with shop.valkey.client() as client:
        client.rpush("session_owner:odd", "x")
        reply = await shop.ask(session="odd")
        assert reply.headers["x-answer-source"] == "precomputed"
        assert client.type("session_owner:odd") == b"string"


async def test_an_outbox_of_a_wrong_type_breaks_no_answer_and_loses_no_event(shop: Shop) -> None:
    with shop.valkey.client() as client:
        client.delete("outbox:0")
        client.set("outbox:0", "x")
        try:
            reply = await shop.ask()
        finally:
            client.delete("outbox:0")
    assert reply.headers["x-answer-source"] == "precomputed"
    assert reply.headers["x-event-id"] in shop.spooled(Mark.SEND)
