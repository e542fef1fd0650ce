"""Dead letters on the SQS emulator: looked at, tried again, and poison gets there by itself."""

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from adapters.aws_clients import AwsClients
from adapters.celery_envelope import build
from adapters.connection import connect
from adapters.msgpack_wire import encode_pack
from adapters.prometheus_metrics import Metrics
from adapters.sqs_dead_letters import SqsDeadLetters
from adapters.sqs_queues import SqsQueues
from config.settings import Settings
from domain.catalogue import Catalogue, Title
from domain.jobs import WriteAnswer
from workers import dead_letters
from workers.dead_letters import Choice

if TYPE_CHECKING:
    from emulators import RunningEmulator
    from tests.integration.pipeline.conftest import Pipeline

    Eventually = Callable[[Callable[[], object], float, str], None]

SOURCE, DEAD = "mangaassist-cache-writes", "mangaassist-cache-writes-dlq"


@pytest.fixture
def queues(aws: "RunningEmulator") -> Iterator[SqsQueues]:
    clients = AwsClients()
    yield SqsQueues(clients)
    clients.close()


@pytest.fixture
def letters(queues: SqsQueues) -> Iterator[SqsDeadLetters]:
    clients = AwsClients()
    yield SqsDeadLetters(clients, queues)
    clients.close()


def message(number: int, answer_kind: str = "title") -> str:
    job = WriteAnswer(
        event_id=f"id-{number}",
        producer="test",
        seq=number,
        occurred_at=1.0,
        answer_kind=answer_kind,
        slug="s",
        locale="ja",
    )
    return build(job.kind, encode_pack([job]), message_id=f"m{number}")


def test_a_list_leaves_every_letter_where_anybody_can_see_it(
    queues: SqsQueues, letters: SqsDeadLetters
) -> None:
    queues.send_batch(DEAD, [message(number) for number in range(25)])
    for _ in range(2):
        rows = dead_letters.rows(letters, ["sessions", "cache-writes"], limit=100)
        assert [(row.queue, row.kind, row.jobs) for row in rows] == [
            ("cache-writes", "cache.write", 1)
        ] * 25
    assert queues.depth(DEAD).visible == 25


def test_a_retry_moves_all_to_the_source_queue(queues: SqsQueues, letters: SqsDeadLetters) -> None:
    queues.send_batch(DEAD, [message(number) for number in range(25)])
    *_, done = dead_letters.retry(letters, Choice(queues=["cache-writes"]), per_second=1e6)
    assert len(done.sent) == 25
    assert (queues.depth(DEAD).visible, queues.depth(DEAD).in_flight) == (0, 0)
    assert bodies_in(SOURCE, queues) == {message(number) for number in range(25)}


def test_a_retry_of_one_id_leaves_the_others(queues: SqsQueues, letters: SqsDeadLetters) -> None:
    queues.send_batch(DEAD, [message(number) for number in range(12)])
    chosen = dead_letters.rows(letters, ["cache-writes"], limit=100)[5]
    found = dead_letters.detail(letters, ["cache-writes"], chosen.id)
    assert found is not None
    choice = Choice(queues=["cache-writes"], ids=frozenset({chosen.id}))
    *_, done = dead_letters.retry(letters, choice, per_second=1e6)
    assert done.sent == [chosen.id]
    assert (queues.depth(DEAD).visible, queues.depth(SOURCE).visible) == (11, 1)


def test_what_is_no_job_becomes_a_dead_letter_a_wrong_job_is_parked_and_the_others_are_done(
    queues: SqsQueues, pipeline: "Pipeline", valkey_url: str, eventually: "Eventually"
) -> None:
    ports = connect(Settings(redis_url=valkey_url), Metrics())
    ports.catalogue.publish(Catalogue([Title(id="s", title="Some title")]))
    give_up_after(2, queues)
    queues.send_batch(SOURCE, [message(1, answer_kind="no such kind"), "not a task", message(2)])
    worker = pipeline.start_healthy("workers.worker", "interactive")
    eventually(lambda: queues.depth(DEAD).visible == 1, 30, "no dead letter")
    assert worker.healthy()
    assert worker.metric('task_retries_total{task="cache.write"}') == 0
    eventually(lambda: ports.parking.count() > 0, 30, "nothing is parked")
    assert [one.event_id for one in ports.parking.each()] == ["id-1"]
    eventually(lambda: queues.depth(SOURCE).in_flight == 0, 10, "something is still in flight")


def bodies_in(queue: str, queues: SqsQueues) -> set[str]:
    clients = AwsClients()
    url = queues.url(queue)
    found = [
        one["Body"]
        for _ in range(3)
        for one in clients.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    ]
    clients.close()
    return set(found)


def give_up_after(receives: int, queues: SqsQueues) -> None:
    clients = AwsClients()
    dead = clients.sqs.get_queue_attributes(QueueUrl=queues.url(DEAD), AttributeNames=["QueueArn"])[
        "Attributes"
    ]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": receives})
    clients.sqs.set_queue_attributes(
        QueueUrl=queues.url(SOURCE), Attributes={"RedrivePolicy": policy}
    )
    clients.close()
