"""Workers whose dependency is down: one queue waits, others go on, nothing dies, all is done."""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from adapters.aws_clients import AwsClients
from adapters.connection import connect, probes_of
from adapters.prometheus_metrics import Metrics
from adapters.sqs_queues import SqsQueues
from config.queues import declared, sqs_name
from config.settings import Settings
from domain.catalogue import Catalogue, Title
from domain.jobs import Job, PrecomputeAnswers
from tests.integration.transport_stage import Wire
from tests.samples import analytics, audit
from workers.sqs_sending import SqsSending

if TYPE_CHECKING:
    import redis

    from tests.integration.pipeline.conftest import Pipeline

    Eventually = Callable[[Callable[[], object], float, str], None]

PACKS = 6
ENDPOINTS = {"logs": "CLOUDWATCH_LOGS"}


@pytest.fixture
def wire(moto_url: str) -> Iterator[Wire]:
    wire = Wire(urlsplit(moto_url).port or 0)
    yield wire
    wire.close()


def send(*jobs: Job) -> None:
    """Each as a message of its own."""
    sending = SqsSending(SqsQueues(AwsClients()), declared())
    for job in jobs:
        sending.job(job, 0)


def dead(queue: str) -> int:
    return SqsQueues(AwsClients()).depth(f"{sqs_name(queue)}-dlq").visible


def test_only_the_queue_waits_whose_stream_is_down(
    pipeline: "Pipeline", wire: Wire, eventually: "Eventually"
) -> None:
    pipeline.env["AWS_ENDPOINT_URL_KINESIS"] = f"http://127.0.0.1:{wire.port}"
    wire.refuse()
    worker = pipeline.start_healthy("workers.worker", "streams")
    send(*(analytics(f"e{n}", time.time()) for n in range(PACKS)))
    eventually(lambda: worker.metric('queue_paused{queue="analytics"}') == 1, 60, "no pause")
    tries = 'task_seconds_count{outcome="transient",task="analytics.emit"}'
    send(audit("a1", time.time()))
    audited = 'task_jobs_total{outcome="done",task="audit.append"}'
    eventually(lambda: worker.metric(audited) == 1, 30, "the other queue waits, too")
    tried = worker.metric(tries)
    assert tried < 2 * PACKS
    assert worker.healthy()
    assert dead("analytics") == 0
    wire.accept_again()
    done = 'task_jobs_total{outcome="done",task="analytics.emit"}'
    eventually(lambda: worker.metric(done) == PACKS, 60, "it does not go on")
    assert worker.metric('queue_paused{queue="analytics"}') == 0
    assert dead("analytics") == 0
    assert worker.stop() == 0


@pytest.mark.soak
def test_a_pool_that_forks_hears_of_the_outage_from_its_children(
    pipeline: "Pipeline", wire: Wire, valkey_url: str, eventually: "Eventually"
) -> None:
    ports = connect(Settings(redis_url=valkey_url), Metrics())
    ports.catalogue.publish(Catalogue([Title(id=name, title=name) for name in "abc"]))
    pipeline.env["AWS_ENDPOINT_URL_DYNAMODB"] = f"http://127.0.0.1:{wire.port}"
    wire.refuse()
    worker = pipeline.start_healthy("workers.worker", "precompute")
    kinds = ["title", "genre", "new_releases"]
    send(*(_wish(kind) for kind in kinds))
    eventually(lambda: worker.metric('queue_paused{queue="precompute"}') == 1, 60, "no pause")
    wire.accept_again()
    done = 'task_jobs_total{outcome="done",task="answers.precompute"}'
    eventually(lambda: worker.metric(done) == len(kinds), 60, "it does not go on")
    assert dead("precompute") == 0
    assert worker.stop() == 0


def _wish(kind: str) -> PrecomputeAnswers:
    return PrecomputeAnswers(
        event_id=f"wish-{kind}",
        producer="test",
        seq=1,
        occurred_at=time.time(),
        answer_kind=kind,
    )


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("dependency", ["dynamodb", "kinesis", "logs"])
def test_a_service_answers_unless_it_can_not_be_reached(
    dependency: str,
    wire: Wire,
    monkeypatch: pytest.MonkeyPatch,
    valkey_url: str,
    eventually: "Eventually",
) -> None:
    variable = f"AWS_ENDPOINT_URL_{ENDPOINTS.get(dependency, dependency.upper())}"
    monkeypatch.setenv(variable, f"http://127.0.0.1:{wire.port}")
    probes = probes_of(Settings(redis_url=valkey_url))
    eventually(lambda: probes.answers(dependency), 10, "it does not answer")
    assert probes.answers("something that nobody can ask")
    wire.refuse()
    eventually(lambda: not probes.answers(dependency), 10, "it answers without a connection")
    wire.accept_again()
    eventually(lambda: probes.answers(dependency), 10, "it does not answer again")


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("dependency", ["dynamodb", "kinesis", "logs"])
def test_a_service_without_what_we_need_does_not_answer(dependency: str, valkey_url: str) -> None:
    settings = Settings(
        redis_url=valkey_url,
        sessions_table="none",
        analytics_stream="none",
        audit_log_group="none",
    )
    assert not probes_of(settings).answers(dependency)


def test_redis_answers_only_while_it_takes_writes(valkey: "redis.Redis", valkey_url: str) -> None:
    probes = probes_of(Settings(redis_url=valkey_url))
    assert probes.answers("redis")
    valkey.replicaof("127.0.0.1", "1")
    try:
        assert valkey.ping()
        assert not probes.answers("redis")
    finally:
        valkey.replicaof("NO", "ONE")
    assert probes.answers("redis")
    assert not probes_of(Settings(redis_url="redis://127.0.0.1:1/0")).answers("redis")
