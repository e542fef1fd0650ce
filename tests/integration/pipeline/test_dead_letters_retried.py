"""The scheduled retry on the SQS emulator: only poison is parked, a killed run loses nothing."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from adapters.aws_clients import AwsClients
from adapters.celery_envelope import build
from adapters.connection import connect
from adapters.msgpack_wire import encode_pack
from adapters.prometheus_metrics import Metrics
from adapters.sqs_queues import SqsQueues
from config.failpoints import Failpoint
from config.settings import Settings
from domain.answers import AnswerKey
from domain.catalogue import Catalogue, Title
from domain.jobs import RetryDeadLetters, WriteAnswer
from domain.parking import Reason
from domain.ports import Ports

if TYPE_CHECKING:
    import redis

    from emulators import RunningEmulator
    from tests.integration.pipeline.conftest import Pipeline
    from tests.integration.transport_stage import Clock

    Eventually = Callable[[Callable[[], object], float, str], None]

SOURCE, DEAD = "mangaassist-cache-writes", "mangaassist-cache-writes-dlq"
RETRIES = "mangaassist-precompute"
RUN_SECONDS = 90.0
ONE_RUN = """
import sys
from adapters.connection import connect
from adapters.prometheus_metrics import Metrics
from config import failpoints, settings
from domain.jobs import RetryDeadLetters
from tasks import dead_letters, replaying
read = settings.read()
failpoints.arm(read.failpoint)
replaying.HIDE_SECONDS = int(sys.argv[1])
replaying.RUN_SECONDS = 60.0  # a busy machine's
job = RetryDeadLetters(event_id="e", producer="test", seq=1, occurred_at=1.0)
dead_letters.retry_dead_letters([job], connect(read, Metrics()))
"""
KILLED_AT = [
    Failpoint.DEAD_LETTERS_AFTER_RECEIVE,
    Failpoint.DEAD_LETTERS_AFTER_PARK,
    Failpoint.DEAD_LETTERS_AFTER_SEND,
    Failpoint.DEAD_LETTERS_AFTER_DELETE,
]


@pytest.fixture
def queues(aws: "RunningEmulator") -> Iterator[SqsQueues]:
    clients = AwsClients()
    yield SqsQueues(clients)
    clients.close()


@pytest.fixture
def ports(aws: "RunningEmulator", valkey: "redis.Redis", valkey_url: str) -> Ports:
    found = connect(Settings(redis_url=valkey_url), Metrics())
    found.catalogue.publish(Catalogue([Title(id=name, title=name) for name in "abcdef"]))
    return found


def write(slug: str, answer_kind: str = "title") -> WriteAnswer:
    return WriteAnswer(
        event_id=f"event-{slug}",
        producer="test",
        seq=1,
        occurred_at=1.0,
        answer_kind=answer_kind,
        slug=slug,
        locale="ja",
    )


def message(*jobs: WriteAnswer | RetryDeadLetters) -> str:
    return build(jobs[0].kind, encode_pack(jobs), message_id=str(uuid4()))


def test_packs_are_split_and_only_what_can_not_be_done_is_parked(
    queues: SqsQueues,
    ports: Ports,
    pipeline: "Pipeline",
    clock: "Clock",
    *,
    valkey: "redis.Redis",
    eventually: "Eventually",
) -> None:
    worker, _ = pipeline.start_all_healthy(
        ("tests.integration.pipeline.unhurried", "workers.worker", "precompute"),
        ("workers.worker", "interactive"),
    )
    # A job alone is left to wait for half a minute after it came: however slow this is, it is.
    clock.advance(3600)
    jobs = [write("a"), write("b"), write("poison", "no such kind"), write("c")]
    queues.send_batch(DEAD, [message(*jobs), message(write("d")), "never a message"])
    retry = RetryDeadLetters(event_id="e", producer="test", seq=1, occurred_at=1.0)
    eventually(lambda: queues.depth(DEAD).visible == 3, 10, "no dead letters")
    queues.send_batch(RETRIES, [message(retry)])
    eventually(lambda: ports.parking.count() == 2, 30, "nothing is parked")
    names = [AnswerKey("title", slug, "ja").redis_key() for slug in "abc"]
    eventually(lambda: valkey.exists(*names) == 3, 20, "a job was not done")
    assert {one.reason for one in ports.parking.each()} == {Reason.PERMANENT, Reason.UNREADABLE}
    (poison,) = [one for one in ports.parking.each() if one.reason is Reason.PERMANENT]
    assert poison.event_id == "event-poison"
    assert poison.payload == encode_pack([jobs[2]])
    counted = 'dead_letters_total{outcome="%s",queue="cache-writes"}'
    for outcome in ("split", "parked", "left"):
        what = counted % outcome
        eventually(lambda: worker.metric(what) > 0, 10, f"not {outcome}")  # noqa: B023
        assert worker.metric(what) == 1
    eventually(lambda: queues.depth(DEAD).visible == 1, 10, "the job alone is not left")


@pytest.mark.parametrize("point", KILLED_AT)
def test_a_run_that_is_killed_leaves_every_job_somewhere(
    queues: SqsQueues, ports: Ports, eventually: "Eventually", point: Failpoint
) -> None:
    queues.send_batch(DEAD, [message(write("a"), write("b")), "never a message"])
    # It hides letters for a second only, so that what it takes to the grave is soon back.
    assert start_run(f"{point}:1", hide_seconds=1).wait(RUN_SECONDS) == -signal.SIGKILL
    eventually(lambda: queues.depth(DEAD).in_flight == 0, 10, "letters stay hidden")
    assert start_run().wait(RUN_SECONDS) == 0
    assert queues.depth(DEAD).visible == queues.depth(DEAD).in_flight == 0
    assert [one.reason for one in ports.parking.each()] == [Reason.UNREADABLE]
    assert queues.depth(SOURCE).visible in {2, 4}


def test_two_runs_at_once_send_and_park_everything_once(queues: SqsQueues, ports: Ports) -> None:
    texts = [message(write("a"), write("b")) for _ in range(30)] + ["x" * at for at in range(1, 20)]
    queues.send_batch(DEAD, texts)
    runs = [start_run() for _ in range(2)]
    assert [run.wait(RUN_SECONDS) for run in runs] == [0, 0]
    assert queues.depth(DEAD).visible == queues.depth(DEAD).in_flight == 0
    assert queues.depth(SOURCE).visible == 60
    assert ports.parking.count() == 19


def start_run(failpoint: str = "", hide_seconds: int = 30) -> "subprocess.Popen[bytes]":
    env = {**os.environ, "MANGAASSIST_FAILPOINT": failpoint}
    return subprocess.Popen([sys.executable, "-c", ONE_RUN, str(hide_seconds)], env=env)
