"""A cache write that Redis refuses is counted and given up; the next question causes another."""

import time
from typing import TYPE_CHECKING

from adapters.aws_clients import AwsClients
from adapters.connection import connect
from adapters.prometheus_metrics import Metrics
from adapters.sqs_queues import SqsQueues
from config.queues import declared, sqs_name
from config.settings import Settings
from domain.catalogue import Catalogue, Title
from domain.jobs import WriteAnswer
from workers.sqs_sending import SqsSending

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from tests.integration.pipeline.conftest import Pipeline

    Eventually = Callable[[Callable[[], object], float, str], None]

ANSWER = "answer:title:one-piece:ja"
FAILED = "cache_write_failures_total"
DONE = 'task_jobs_total{outcome="done",task="cache.write"}'


def ask(event_id: str) -> None:
    """What the relay sends when a customer asked for an answer that was not there."""
    job = WriteAnswer(
        event_id=event_id,
        producer="test",
        seq=1,
        occurred_at=time.time(),
        answer_kind="title",
        slug="one-piece",
        locale="ja",
    )
    SqsSending(SqsQueues(AwsClients()), declared()).job(job, 0)


def test_a_missed_cache_write_costs_a_recomputation_and_nothing_else(
    pipeline: "Pipeline", valkey: "redis.Redis", valkey_url: str, eventually: "Eventually"
) -> None:
    ports = connect(Settings(redis_url=valkey_url), Metrics())
    ports.catalogue.publish(Catalogue([Title(id="one-piece", title="One Piece")]))
    worker = pipeline.start_healthy("workers.worker", "interactive")
    valkey.replicaof("127.0.0.1", "1")
    try:
        ask("asked-first")
        eventually(lambda: worker.metric(FAILED) == 1, 30, "it is not counted")
        eventually(lambda: worker.metric(DONE) == 1, 30, "it comes again")
    finally:
        valkey.replicaof("NO", "ONE")
    assert not valkey.exists(ANSWER)
    ask("asked-again")
    eventually(lambda: valkey.exists(ANSWER), 30, "it is not recomputed")
    assert worker.metric(FAILED) == 1
    assert worker.stop() == 0
    queues = SqsQueues(AwsClients())
    assert queues.depth(sqs_name("cache-writes")).visible == 0
    assert queues.depth(sqs_name("cache-writes") + "-dlq").visible == 0
