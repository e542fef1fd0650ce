"""Four processes and one Valkey: who asks the same at once costs one computation."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import pytest

from adapters.event_jobs import translate
from adapters.msgpack_wire import decode_event
from adapters.redis_connection import RedisConnection
from adapters.redis_responses import RedisResponses
from adapters.response_wire import ResponseWire
from domain.events import AnswerGenerated
from domain.ports import Written
from tests.integration.serving.processes import ROOT, Valkey, wait_until
from tests.integration.serving.response_app import CALLS, LEASE_SECONDS, PIECES

APP = f"{__package__}.response_app"
TEXT = "".join(PIECES)

Told = dict[str, dict[str, int] | int | float]


@pytest.fixture
def clean(valkey: Valkey) -> Iterator[RedisConnection]:
    connection = RedisConnection(valkey.url)
    connection.client.flushall()
    connection.load_functions()
    yield connection
    connection.close()


def start(
    stack: ExitStack, valkey: Valkey, fates: Sequence[str], clients: int
) -> list[subprocess.Popen[str]]:
    """Processes that are ready to ask."""
    processes = [
        stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", APP, valkey.url, str(clients), "料理の漫画", "0.4", fate],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        for fate in fates
    ]
    for process in processes:
        stack.callback(process.kill)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    return processes


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def stampede(valkey: Valkey, fates: Sequence[str], clients: int = 125) -> list[Told]:
    """What the clients of each process were told when all asked at once."""
    with ExitStack() as stack:
        processes = start(stack, valkey, fates, clients)
        for process in processes:
            go(process)
        return [json.loads(process.communicate(timeout=60)[0]) for process in processes]


def calls(connection: RedisConnection) -> int:
    return int(connection.client.get(CALLS) or 0)


def test_five_hundred_clients_of_four_processes_cost_one_call_of_the_model(
    valkey: Valkey, clean: RedisConnection
) -> None:
    told = stampede(valkey, ["", "", "", ""])
    assert calls(clean) == 1
    for one in told:
        assert one["texts"] == {TEXT: 125}
        assert one["heard"] == 125
    sources = [one["sources"] for one in told]
    assert sorted(next(iter(source)) for source in sources if isinstance(source, dict)) == [
        "cache", "cache", "cache", "model",
    ]  # fmt: skip


def test_the_response_lasts_once_the_queue_has_written_it(
    valkey: Valkey, clean: RedisConnection
) -> None:
    stampede(valkey, [""], clients=1)
    (key,) = clean.client.keys("response:*")
    assert 0 < clean.client.ttl(key) <= 120, "it serves those who wait, shortly"
    assert not clean.client.keys("response_lease:*")
    ((_, fields),) = clean.client.xrange("outbox:0")
    event = decode_event(fields[b"e"])
    assert isinstance(event, AnswerGenerated)
    assert event.response_key == key.decode()
    assert [kind for kind, _ in translate(fields).jobs] == ["response.write", "answers.check"]
    responses = RedisResponses(
        clean, ResponseWire("secret", compress_bytes=1024), tombstone_seconds=60
    )
    made = responses.open(event.response_key, event.stored)
    assert responses.keep(made, event.stored, 36_000) is Written.ALREADY_APPLIED
    assert clean.client.ttl(key) > 30_000
    assert made.text() == TEXT
    assert list(made.pieces()) == list(PIECES)


def test_a_model_that_fails_is_asked_once_by_all_processes(
    valkey: Valkey, clean: RedisConnection
) -> None:
    told = stampede(valkey, ["fail"] * 4, clients=50)
    assert calls(clean) == 1
    assert [one["sources"] for one in told] == [{"nothing": 50}] * 4
    assert not clean.client.keys("response:*")
    assert clean.client.xlen("outbox:0") == 0


def test_when_the_process_that_computes_dies_another_one_does(
    valkey: Valkey, clean: RedisConnection
) -> None:
    with ExitStack() as stack:
        dying, *others = start(stack, valkey, ["die", "", ""], clients=20)
        go(dying)
        wait_until(lambda: calls(clean) == 1, "the model was asked")
        for process in others:
            go(process)
        assert dying.wait(60) == -signal.SIGKILL
        (lease,) = clean.client.keys("response_lease:*")
        assert 0 < clean.client.pttl(lease) <= LEASE_SECONDS * 1000
        clean.client.pexpire(lease, 1)  # nobody's process is slow enough to lose a lease by itself
        told = [json.loads(process.communicate(timeout=60)[0]) for process in others]
    assert [one["texts"] for one in told] == [{TEXT: 20}] * 2
    assert calls(clean) == 2
