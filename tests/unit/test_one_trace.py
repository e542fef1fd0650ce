"""One question, one trace: from the request over the relay and the message to the workers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from adapters import celery_envelope
from adapters.event_jobs import translate
from adapters.messages import TRACEPARENT
from adapters.msgpack_wire import encode_event
from adapters.sqs_queues import SqsQueues
from config.queues import declared, sqs_name
from domain.catalogue import Catalogue
from domain.tracing import TraceContext
from tasks.table import TASKS
from tests.fakes import FakeCatalogueStore, World
from tests.samples import RULE
from tests.spans import SAMPLED, Spans, context_of, links_of, said, traceparent_of
from tests.unit.serving.fakes import request_path, stored
from tests.unit.test_relaying import Metrics
from workers.execution import Delivery, execute
from workers.ledger import Held, Ledger
from workers.packing import Limits, Packer
from workers.sending import QueueSender, Sendings
from workers.sqs_sending import SqsSending, new_pack_id

if TYPE_CHECKING:
    from adapters.aws_clients import AwsClients

FOLLOWED = (b"traceparent", SAMPLED.encode())
QUESTION = {"session_id": "a-secret-session", "message": "what is popular with bears"}
ALICE = (b"authorization", b"Bearer alice")


class RecordingAws:
    """SQS that takes everything: the entries by queue."""

    def __init__(self) -> None:
        self.sqs = self
        self.entries: list[tuple[str, Mapping[str, Any]]] = []

    def get_queue_url(self, *, QueueName: str) -> dict[str, str]:  # noqa: N803
        return {"QueueUrl": QueueName}

    def send_message_batch(self, *, QueueUrl: str, Entries: Sequence[Any]) -> object:  # noqa: N803
        self.entries += [(QueueUrl, entry) for entry in Entries]
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}


def relayed(event: bytes, spans: Spans) -> list[tuple[str, Mapping[str, Any]]]:
    """What a relay sends to SQS for an event, by queue."""
    table, aws = declared(), RecordingAws()
    send = SqsSending(SqsQueues(cast("AwsClients", aws)), table).packs
    to = Sendings(Ledger(), Metrics(), spans.traces)
    translated = translate({b"e": event})
    held = Held(
        0, b"1-0", "e", len(event), len(translated.jobs), 0.0, traceparent=translated.traceparent
    )
    for kind, job in translated.jobs:
        limits = Limits(pack_jobs=10, linger_seconds=0.0)
        sender = QueueSender(table.of_job(kind), Packer(limits, new_pack_id), send, to)
        sender.add([(kind, job, held)])
        sender.flush()
        sender.start()
        assert sender.join(60.0)
    return aws.entries


def performed(entries: Sequence[tuple[str, Mapping[str, Any]]], spans: Spans) -> World:
    """The world after workers had these messages."""
    world = World(RULE, FakeCatalogueStore(Catalogue([])))
    for queue, entry in entries:
        envelope = celery_envelope.check(entry["MessageBody"], TASKS)
        (pack,) = envelope.args
        assert isinstance(pack, bytes)
        delivery = Delivery(
            kind=envelope.task,
            message_id="m",
            queue=queue.removeprefix(sqs_name("")),
            receives=1,
            traceparent=str(envelope.headers[TRACEPARENT]),
        )
        ports = replace(world.ports, traces=spans.traces)
        execute(TASKS[envelope.task].function, pack, delivery, ports)
    return world


def test_a_question_and_all_that_follows_are_one_trace() -> None:
    path, spans = request_path(), Spans()
    path.chat.tracing = spans.tracing(ratio=0.0)
    path.stock.answers["trending:manga:top10:en"] = stored()
    path.ask(QUESTION, FOLLOWED, ALICE)
    (event,) = path.stock.events
    entries = relayed(encode_event(event), spans)
    world = performed(entries, spans)

    assert world.sessions.get("a-secret-session", "alice") is not None, "the work is done"
    server = spans.named("chat")
    assert set(spans.parts_of(server)) == {
        "auth",
        "classify",
        "redis",
        *(f"send {queue.removeprefix(sqs_name(''))}" for queue, _ in entries),
    }
    works = [span for span in spans if span.name.startswith("perform ")]
    followed = {kind for kind, _ in translate({b"e": encode_event(event)}).jobs}
    assert {said(span)["mangaassist.job"] for span in works} == followed > {"session.update"}
    for span in works:
        assert links_of(span) == [context_of(server)]
        assert span.parent is not None
        sent = next(one for one in spans if context_of(one)[1] == span.parent.span_id)
        assert sent.name == f"send {said(span)['messaging.destination.name']}"
    assert {context_of(span)[0] for span in spans} == {int("a" * 32, 16)}
    everything = "".join(span.to_json() for span in spans)
    for secret in ("secret", "bears", "alice"):
        assert secret not in everything


def test_a_message_names_its_span_to_workers_and_to_xray() -> None:
    path, spans = request_path(), Spans()
    path.chat.tracing = spans.tracing(ratio=0.0)
    path.ask(QUESTION, FOLLOWED)
    (event,) = path.stock.events
    for queue, entry in relayed(encode_event(event), spans):
        headers = celery_envelope.check(entry["MessageBody"]).headers
        sent = [one for one in spans if one.name == f"send {queue.removeprefix(sqs_name(''))}"]
        assert headers[TRACEPARENT] in {traceparent_of(one) for one in sent}
        context = TraceContext.parse(str(headers[TRACEPARENT]))
        assert context is not None
        header = {"DataType": "String", "StringValue": context.xray()}
        assert entry["MessageSystemAttributes"] == {"AWSTraceHeader": header}


def test_what_is_not_traced_is_sent_as_ever() -> None:
    path, spans = request_path(), Spans()
    path.ask(QUESTION)
    (event,) = path.stock.events
    for _, entry in relayed(encode_event(event), spans):
        assert "MessageSystemAttributes" not in entry
        assert TRACEPARENT not in celery_envelope.check(entry["MessageBody"]).headers
    assert spans.names() == []
