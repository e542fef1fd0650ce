"""The shared connection when clients leave, replies are late, or Redis goes away."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest

from adapters.msgpack_wire import decode_event
from adapters.redis_kept import KeptRedis
from adapters.redis_multiplexed import NotDone, Unknown, pack
from adapters.spool import Mark
from config.budgets import declared
from domain.event_ids import event_id_of_message
from tests.integration.serving.client import Connection, chat
from tests.integration.serving.processes import (
    Serving,
    Valkey,
    start_serving,
    stop,
    token,
    wait_until,
)
from tests.ports import free_port

QUESTIONS = {
    "what's popular this week": "trending in en",
    "今週の人気": "trending in ja",
    "new releases": "new_releases in en",
    "新刊": "new_releases in ja",
    "where is my order": "fallback in en",
    "注文はどこですか": "fallback in ja",
}
STORM_CONNECTIONS = 64
SECONDS = 60.0


class Proxy:
    """Stands between serving and Redis, and holds replies back while `hold` is set."""

    def __init__(self, target_port: int) -> None:
        self.port = free_port()
        self._target_port = target_port
        self._passes = asyncio.Event()
        self._passes.set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    def hold(self) -> None:
        self._passes.clear()

    def release(self) -> None:
        self._passes.set()

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        redis_reader, redis_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        self._writers.append(redis_writer)
        for source, sink, held in (
            (reader, redis_writer, False),
            (redis_reader, writer, True),
        ):
            task = asyncio.create_task(self._copy(source, sink, held=held))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _copy(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, held: bool
    ) -> None:
        try:
            while data := await source.read(65536):
                if held:
                    await self._passes.wait()
                sink.write(data)
        except OSError:
            pass
        finally:
            sink.transport.abort()


@pytest.fixture
async def proxy(valkey: Valkey) -> AsyncIterator[Proxy]:
    found = Proxy(valkey.port)
    await found.start()
    yield found
    await found.stop()


async def kept(port: int) -> KeptRedis:
    connection = KeptRedis(f"redis://127.0.0.1:{port}/0", name="test")
    connection.start()
    await until_up(connection)
    return connection


async def until_up(connection: KeptRedis) -> None:
    while not connection.up:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.01)


async def test_late_replies_release_their_callers_and_reach_nobody_else(proxy: Proxy) -> None:
    connection = await kept(proxy.port)
    in_time = late = 0

    async def echo(number: int) -> None:
        nonlocal in_time, late
        try:
            assert await connection.ask(pack("ECHO", number), 0.02) == b"%d" % number
        except (Unknown, NotDone):  # or it is known to be slow, and not asked
            late += 1
        else:
            in_time += 1

    async def hiccups() -> None:
        while True:
            proxy.hold()
            await asyncio.sleep(0.05)
            proxy.release()
            await asyncio.sleep(0.05)

    trouble = asyncio.create_task(hiccups())
    numbers = count()
    async with asyncio.timeout(SECONDS):
        while not in_time or not late or in_time + late < 4000:
            await asyncio.gather(*(echo(next(numbers)) for _ in range(100)))
    trouble.cancel()
    proxy.release()
    await connection.close()


async def test_a_lost_connection_is_replaced_and_the_functions_are_there(valkey: Valkey) -> None:
    connection = await kept(valkey.port)
    with valkey.client() as client:
        client.client_kill_filter(_id=str(await connection.ask(pack("CLIENT", "ID"), SECONDS)))
    while connection.up:  # noqa: ASYNC110
        await asyncio.sleep(0)
    with pytest.raises(NotDone):
        await connection.ask(pack("PING"), SECONDS)
    await until_up(connection)
    assert await connection.ask(pack("ECHO", "again"), SECONDS) == b"again"
    with valkey.client() as client:
        client.function_flush()
    command = pack("FCALL", "ma3_write", 1, "k", 1, 10, "v")
    replies = await asyncio.gather(*(connection.ask(command, SECONDS) for _ in range(20)))
    assert replies == [1] * 20
    await connection.close()


@pytest.mark.parametrize("wrong", [-3600.0, 3600.0])
async def test_a_clock_that_is_far_from_that_of_redis_is_not_believed(
    valkey: Valkey, wrong: float
) -> None:
    told = [time.time() + 60]
    connection = KeptRedis(valkey.url, name="test", clock=lambda: told[0])
    connection.start()
    await connection.first(30.0)
    assert connection.now() == told[0], "a little is nobody's fault"
    told[0] += wrong  # the clock jumps
    while abs(connection.now() - time.time()) > 30:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    believed = connection.now()
    await asyncio.sleep(1.0)  # it is asked again meanwhile
    assert connection.now() == believed, "it does not follow every delay of Redis"
    await connection.close()


class Storm:
    """Clients that ask, and some that leave before they are answered."""

    def __init__(self, serving: Serving, requests: int) -> None:
        self.serving = serving
        self.token = token("alice")
        self.left = requests
        self.answered: list[str] = []
        self.wrong: list[str] = []

    async def client(self, seed: int) -> None:
        dice = random.Random(seed)
        while self.left > 0:
            connection = await Connection.to(self.serving)
            try:
                while self.left > 0:
                    self.left -= 1
                    number = self.left
                    question, expected = dice.choice(list(QUESTIONS.items()))
                    session, message = f"storm-{number % 977}", f"m-{number}"
                    request = chat(question, session, self.token, message_id=message)
                    if dice.random() < 0.1:
                        await self._leave(connection, request, dice)
                        break
                    self._check(
                        await connection.send(request),
                        event_id_of_message("alice", session, message, question),
                        expected,
                    )
            finally:
                await connection.abort()

    async def _leave(self, connection: Connection, request: bytes, dice: random.Random) -> None:
        cut = dice.choice((len(request), len(request), len(request) - 5, 40))
        connection.writer.write(request[:cut])
        await asyncio.sleep(dice.random() * 0.002)

    def _check(self, reply: object, event_id: str, expected: str) -> None:
        body = getattr(reply, "json", {})
        if (body.get("event_id"), body["answer"]["text"]) != (event_id, expected):
            self.wrong.append(f"{event_id}: {body}")
        self.answered.append(event_id)


@pytest.mark.parametrize(
    "requests",
    [20_000, pytest.param(200_000, marks=[pytest.mark.soak, pytest.mark.timeout(900)])],
)
async def test_a_storm_of_leaving_clients_crosses_and_loses_no_reply(
    serving: Serving, requests: int
) -> None:
    with serving.valkey.client() as client:
        client.delete("outbox:0")
        before = _hot_connection(client.client_list())
        storm = Storm(serving, requests)
        await asyncio.gather(*(storm.client(seed) for seed in range(STORM_CONNECTIONS)))
        assert storm.wrong == []
        assert len(storm.answered) > requests * 0.8
        written = {decode_event(fields[b"e"]).event_id for _, fields in client.xrange("outbox:0")}
        assert set(storm.answered) <= written | serving.spooled(Mark.SEND)
        assert _hot_connection(client.client_list()) == before


def _hot_connection(clients: list[dict[str, str]]) -> list[str]:
    return [client["id"] for client in clients if client["name"] == "mangaassist-hot"]


async def test_when_redis_is_slow_the_answer_comes_in_time_and_is_the_right_one(
    valkey: Valkey, proxy: Proxy, tmp_path: Path
) -> None:
    url = f"redis://127.0.0.1:{proxy.port}/0"
    serving = start_serving(valkey, tmp_path, url, budgets=declared())
    try:
        await asyncio.to_thread(wait_until, serving.ready, "the request path is ready")
        connection = await Connection.to(serving)
        for question, expected in QUESTIONS.items():
            # Where the first reply was late, the answer is not known yet.
            while (await connection.send(chat(question, "slow"))).text != expected:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        for _ in range(3):
            proxy.hold()
            for question, expected in QUESTIONS.items():
                reply = await connection.send(chat(question, "slow"))
                assert reply.status == 200
                assert reply.text == expected
                assert reply.headers["x-answer-source"] in {"stale", "fallback"}
            proxy.release()
            for question, expected in QUESTIONS.items():
                assert (await connection.send(chat(question, "slow"))).text == expected
        metrics = serving.get("/metrics")[2].decode()
        assert 'mangaassist_budget_exceeded_total{segment="redis"}' in metrics
        await connection.close()
    finally:
        stop(serving)


async def test_without_redis_it_answers_and_with_it_again_it_recovers(tmp_path: Path) -> None:
    valkey = Valkey(tmp_path)
    valkey.start()
    valkey.publish()
    serving = start_serving(valkey, tmp_path)
    try:
        await asyncio.to_thread(wait_until, serving.ready, "the request path is ready")
        connection = await Connection.to(serving)
        question, expected = next(iter(QUESTIONS.items()))

        async def source() -> str:
            reply = await connection.send(chat(question, "down"))
            assert (reply.status, reply.text) == (200, expected)
            return reply.headers["x-answer-source"]

        assert await source() == "precomputed"
        valkey.kill()
        assert await source() == "stale"
        assert serving.ready()
        valkey.start()
        valkey.publish()
        while await source() != "precomputed":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        await connection.close()
    finally:
        stop(serving)
        valkey.kill()
