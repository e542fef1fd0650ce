"""A primary dies with events that its replica never got: every answered question is done once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from adapters import spool
from adapters.redis_confirmations import KEY
from tests.faults.proxy import Fault, FaultyProxy, Mode
from tests.integration.pipeline.test_pipeline import Effects
from tests.integration.serving.client import Connection, chat
from tests.integration.serving.processes import (
    Serving,
    Valkey,
    start_serving,
    stop,
    token,
    wait_until,
)

if TYPE_CHECKING:
    from tests.integration.pipeline.conftest import Pipeline, Process

    Eventually = Callable[[Callable[[], object], float, str], None]

SESSIONS = 4
SECONDS = 60.0


@dataclass
class Pair:
    """A primary and its replica, with a proxy on the way between them and one in front."""

    primary: Valkey
    replica: Valkey
    between: FaultyProxy
    front: FaultyProxy

    def is_replicating(self) -> bool:
        with self.replica.client() as client:
            return bool(client.info("replication")["master_link_status"] == "up")

    def switch(self) -> None:
        """The primary is gone, the replica takes its place."""
        self.primary.kill()
        with self.replica.client() as client:
            client.replicaof("NO", "ONE")
        self.front.target_port = self.replica.port


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    servers = []
    for name in ("primary", "replica"):
        (tmp_path / name).mkdir()
        servers.append(Valkey(tmp_path / name))
    primary, replica = servers
    between, front = FaultyProxy(primary.port), FaultyProxy(primary.port)
    await between.start()
    await front.start()
    await asyncio.to_thread(primary.start)
    primary.publish()
    options = ("--replicaof", f"127.0.0.1 {between.port}")
    await asyncio.to_thread(replica.start, *options)
    found = Pair(primary, replica, between, front)
    try:
        await asyncio.to_thread(wait_until, found.is_replicating, "the replica follows")
        yield found
    finally:
        await between.stop()
        await front.stop()
        primary.kill()
        replica.kill()


@dataclass
class Customers:
    """What they asked and were told."""

    serving: Serving
    told: list[tuple[int, str]]

    async def ask(self, count: int) -> None:
        connection = await Connection.to(self.serving)
        for number in range(count):
            session = number % SESSIONS
            request = chat("what's popular", f"session-{session}", token("user-1"))
            reply = await connection.send(request)
            assert (reply.status, reply.headers["x-answer-source"]) == (200, "precomputed")
            self.told.append((session, reply.headers["x-event-id"]))
        await connection.close()

    def are_served(self, effects: Effects) -> bool:
        done = [(session, turn) for session in range(SESSIONS) for turn in effects.turns(session)]
        return Counter(done) == Counter(self.told)


async def test_what_a_switch_of_primaries_loses_is_sent_from_the_copies(
    pipeline: "Pipeline", pair: Pair, tmp_path: Path, eventually: "Eventually"
) -> None:
    url = f"redis://127.0.0.1:{pair.front.port}/0"
    serving = start_serving(pair.primary, tmp_path, url)
    pipeline.env |= {"MANGAASSIST_SPOOL_DIR": str(serving.spool), "MANGAASSIST_REDIS_URL": url}
    customers, effects = Customers(serving, []), Effects(url)

    async def wait(check: Callable[[], object], what: str) -> None:
        await asyncio.to_thread(eventually, check, SECONDS, what)

    async def is_counted(relay: "Process", outcome: str, number: int) -> None:
        sample = f'spool_events_total{{outcome="{outcome}"}}'
        await wait(lambda: relay.metric(sample) >= number, f"not all are {outcome}")
        assert relay.metric(sample) == number

    try:
        await wait(serving.ready, "the request path is ready")
        relay = pipeline.start("workers.relay")
        pipeline.start("workers.worker", "interactive")
        await customers.ask(40)
        await wait(lambda: customers.are_served(effects), "the first turns are stored")
        await wait(lambda: not list(spool.copies(serving.spool)), "their copies are gone")
        await is_counted(relay, "confirmed", 40)
        # An event is confirmed a moment before it leaves the outbox.
        with pair.primary.client() as client:
            await wait(lambda: client.xlen("outbox:0") == 0, "they have left the outbox")
        relay.kill()
        await customers.ask(20)
        with pair.replica.client() as client:
            await wait(lambda: client.xlen("outbox:0") == 20, "events are replicated")
            await wait(lambda: client.exists(KEY), "confirmations are replicated")
        await pair.between.set(Fault(mode=Mode.BLACK_HOLE))
        await customers.ask(60)
        pair.switch()
        relay = pipeline.start("workers.relay")
        await wait(lambda: not list(spool.copies(serving.spool)), "no copy is left")
        await wait(lambda: not list(spool.segments(serving.spool)), "nothing is left to send")
        await wait(lambda: customers.are_served(effects), "every turn is stored, and once")
        await is_counted(relay, "lost", 60)
    finally:
        stop(serving)
