"""Packs with work of traced requests are spans: parts of the one trace, or linked to several."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from adapters.msgpack_wire import encode_pack
from domain.catalogue import Catalogue
from domain.errors import MangaAssistError, Permanent, Transient
from domain.jobs import Job, WriteAnswer
from domain.ports import Ports
from domain.tracing import Role, Span, TraceContext
from tests.fakes import NOW, FakeCatalogueStore, World
from tests.samples import RULE
from tests.spans import SAMPLED, UNSAMPLED, Spans, context_of, links_of, said, traceparent_of
from tests.unit.test_relaying import Metrics
from workers.execution import Delivery, execute
from workers.ledger import Held, Ledger
from workers.packing import Limits, Pack, Packer
from workers.process import PerProcess
from workers.sending import QueueSender, Refusal, Sendings

OTHER = str(TraceContext("c" * 32, "d" * 16, is_sampled=True))
A, B = (int("a" * 32, 16), int("b" * 16, 16)), (int("c" * 32, 16), int("d" * 16, 16))


class Sender:
    """A queue's sender, and an SQS that refuses what it is told to."""

    def __init__(self, spans: Spans | None, refused: Mapping[str, Refusal] | None = None) -> None:
        self.sent: list[Pack[Held]] = []
        self._refused = dict(refused or {})
        limits = Limits(pack_jobs=2, linger_seconds=0.0)
        ids = iter("123456789")
        traces = None if spans is None else spans.traces
        to = Sendings(Ledger(), Metrics(), traces)
        self.sender = QueueSender("sessions", Packer(limits, lambda: next(ids)), self.send, to)

    def send(self, _queue: str, packs: Sequence[Pack[Held]]) -> Mapping[str, Refusal]:
        self.sent += packs
        refused, self._refused = self._refused, {}
        return refused

    def through(self, *traceparents: str | None) -> None:
        """Send a job for each of these, and whatever is refused once more."""
        jobs = [
            ("session.update", b"job", Held(0, b"%d" % at, "e", 3, 1, 0.0, traceparent=text))
            for at, text in enumerate(traceparents)
        ]
        self.sender.add(jobs)
        self.sender.flush()
        self.sender.start()
        assert self.sender.join(60.0)


def test_a_pack_of_one_trace_is_sent_in_a_part_of_it() -> None:
    spans = Spans()
    queue = Sender(spans)
    queue.through(SAMPLED, SAMPLED)
    span = spans.named("send sessions")
    assert span.kind is SpanKind.PRODUCER
    assert span.parent is not None
    assert ((span.parent.trace_id, span.parent.span_id), links_of(span)) == (A, [A])
    assert said(span) == {
        "messaging.system": "aws_sqs",
        "messaging.destination.name": "sessions",
        "messaging.batch.message_count": 2,
        "mangaassist.job": "session.update",
    }
    assert [pack.traceparent for pack in queue.sent] == [traceparent_of(span)]


@pytest.mark.parametrize(("other", "links"), [(OTHER, [A, B]), (None, [A]), (UNSAMPLED, [A])])
def test_a_pack_that_mixes_traces_begins_one_that_is_linked(
    other: str | None, links: list[tuple[int, int]]
) -> None:
    spans = Spans()
    Sender(spans).through(SAMPLED, other)
    span = spans.named("send sessions")
    assert (span.parent, links_of(span)) == (None, links)
    assert context_of(span)[0] not in {A[0], B[0]}


@pytest.mark.parametrize("texts", [(None, None), (UNSAMPLED, "nonsense")])
def test_a_pack_of_untraced_requests_is_sent_in_no_span(texts: tuple[str | None, ...]) -> None:
    spans = Spans()
    queue = Sender(spans)
    queue.through(*texts)
    assert (spans.names(), [pack.traceparent for pack in queue.sent]) == ([], [""])


def test_without_traces_nothing_is_said_of_any() -> None:
    queue = Sender(None)
    queue.through(SAMPLED)
    assert [pack.traceparent for pack in queue.sent] == [""]


def test_each_attempt_to_send_is_a_span_and_a_refused_one_fails() -> None:
    spans = Spans()
    queue = Sender(spans, {"1": Refusal("Throttled", final=False)})
    queue.through(SAMPLED)
    first, second = spans
    assert (first.status.status_code, said(first)["error.type"]) == (StatusCode.ERROR, "Throttled")
    assert second.status.status_code is StatusCode.UNSET
    assert [pack.traceparent for pack in queue.sent] == [
        traceparent_of(first),
        traceparent_of(second),
    ]


def job(event_id: str, traceparent: str | None) -> WriteAnswer:
    return WriteAnswer(
        event_id=event_id,
        producer="p",
        seq=1,
        occurred_at=NOW,
        traceparent=traceparent,
        answer_kind="title",
        slug="a secret question",
        locale="ja",
    )


def performed(
    *traceparents: str | None,
    sent: str = "",
    replays: int = 0,
    error: MangaAssistError | None = None,
    pack: bytes = b"",
) -> Spans:
    """The spans of one execution of a pack with a job for each of these."""
    spans, world = Spans(), World(RULE, FakeCatalogueStore(Catalogue([])))

    def perform(_jobs: Sequence[Job], _ports: Ports) -> None:
        if error is not None:
            raise error

    jobs = [job(f"e{at}", text) for at, text in enumerate(traceparents)]
    delivery = Delivery("cache.write", "m1", "cache-writes", 1, replays, sent)
    ports = replace(world.ports, traces=spans.traces)
    execute(perform, pack or encode_pack(jobs), delivery, ports)
    return spans


def test_a_pack_is_performed_where_it_was_sent_and_linked_to_its_requests() -> None:
    sent = str(TraceContext("e" * 32, "f" * 16, is_sampled=True))
    span = performed(SAMPLED, OTHER, None, sent=sent).named("perform cache.write")
    assert span.kind is SpanKind.CONSUMER
    assert span.parent is not None
    assert (span.parent.trace_id, span.parent.span_id) == (int("e" * 32, 16), int("f" * 16, 16))
    assert links_of(span) == [A, B]
    assert said(span) == {
        "messaging.system": "aws_sqs",
        "messaging.destination.name": "cache-writes",
        "messaging.batch.message_count": 3,
        "mangaassist.job": "cache.write",
        "mangaassist.outcome": "done",
        "mangaassist.failed": 0,
        "mangaassist.receives": 1,
        "mangaassist.replays": 0,
    }


def test_a_message_that_says_nothing_is_part_of_the_one_trace_of_its_jobs() -> None:
    span = performed(SAMPLED, SAMPLED).named("perform cache.write")
    assert span.parent is not None
    assert (span.parent.trace_id, links_of(span)) == (A[0], [A])


@pytest.mark.parametrize("sent", ["", SAMPLED])
def test_what_dead_letters_send_again_is_only_linked(sent: str) -> None:
    span = performed(SAMPLED, sent=sent, replays=1).named("perform cache.write")
    assert (span.parent, links_of(span)) == (None, [A])


@pytest.mark.parametrize("sent", ["", UNSAMPLED, "nonsense"])
def test_a_pack_of_untraced_requests_is_performed_in_no_span(sent: str) -> None:
    assert performed(None, UNSAMPLED, sent=sent).names() == []


@pytest.mark.parametrize(
    ("error", "failure", "outcome", "down"),
    [
        (Transient("a secret", dependency="redis"), "Transient", "transient", "redis"),
        (Permanent("a secret"), "Permanent", "permanent", None),
    ],
)
def test_a_failure_is_told_by_its_class_alone(
    error: MangaAssistError, failure: str, outcome: str, down: str | None
) -> None:
    span = performed(SAMPLED, error=error).named("perform cache.write")
    assert span.status.status_code is StatusCode.ERROR
    found = said(span)
    assert (found["error.type"], found["mangaassist.outcome"]) == (failure, outcome)
    assert (found["mangaassist.failed"], found.get("mangaassist.dependency")) == (1, down)
    assert "secret" not in span.to_json()


def test_a_pack_that_cannot_be_read_fails_the_span_that_it_was_sent_in() -> None:
    span = performed(sent=SAMPLED, pack=b"\xc1").named("perform cache.write")
    assert (said(span)["error.type"], span.status.status_code) == ("malformed", StatusCode.ERROR)


class Closing:
    """`Traces` that are closed."""

    def __init__(self) -> None:
        self.times = 0

    def begin(self, name: str, role: Role, **_: object) -> Span:
        raise NotImplementedError

    def close(self) -> None:
        self.times += 1


def test_a_process_sends_its_spans_before_it_ends_if_it_has_any() -> None:
    traces, world, process = Closing(), World(RULE), PerProcess()
    process.provide(lambda: replace(world.ports, traces=traces))
    process.close()
    assert traces.times == 0, "nothing was built"
    process.ports()
    process.close()
    assert traces.times == 1
    process.provide(lambda: world.ports)
    process.ports()
    process.close()
    assert traces.times == 1
