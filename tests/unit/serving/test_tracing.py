"""Requests that are traced say what they were made in, and nothing of whoever asked."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from adapters.redis_multiplexed import Late, NotDone
from adapters.redis_serving import Complaint
from config.tracing import Requests
from domain.errors import MangaAssistError, Transient
from domain.questions import Question
from domain.tracing import Role, Span, TraceContext
from serving.tracing import SampledTracing
from tests.spans import (
    SAMPLED,
    UNSAMPLED,
    Spans,
    context_of,
    said,
    traceparent_of,
)
from tests.unit.serving.fakes import RequestPath, stored
from tests.unit.serving.jumping import run
from tests.unit.serving.model_desk import ModelDesk, model_desk
from tests.unit.serving.talk import message, talk
from tests.unit.serving.test_recommendations_route import Desk, desk  # noqa: F401 - a fixture

TRENDING = "trending:manga:top10:en"
QUESTION = {"session_id": "a-secret-session", "message": "what is popular with bears"}
ALICE = (b"authorization", b"Bearer alice")
FOLLOWED = (b"traceparent", SAMPLED.encode())
REFUSED = (b"traceparent", UNSAMPLED.encode())
XRAY = f"Root=1-{'a' * 8}-{'a' * 24};Parent={'b' * 16};Sampled="


@pytest.fixture
def spans(path: RequestPath) -> Spans:
    found = Spans()
    path.chat.tracing = found.tracing()
    path.stock.answers[TRENDING] = stored()
    return found


class NoTracer:
    """`Traces` that must not be asked."""

    def begin(
        self,
        name: str,
        role: Role,
        *,
        parent: TraceContext | None = None,
        links: Sequence[TraceContext] = (),
        began: float | None = None,
    ) -> Span:
        raise AssertionError("this request is not to be traced")

    def close(self) -> None: ...


def test_a_traced_question_is_a_span_with_its_segments(path: RequestPath, spans: Spans) -> None:
    exchange = path.ask(QUESTION, ALICE)
    server = spans.named("chat")
    assert server.kind is SpanKind.SERVER
    assert said(server) == {
        "mangaassist.route": "chat",
        "http.response.status_code": 200,
        "mangaassist.redis": "hit",
        "mangaassist.source": "precomputed",
        "mangaassist.rung": "fresh",
        "mangaassist.kind": "trending",
        "mangaassist.locale": "en",
    }
    assert server.status.status_code is StatusCode.UNSET
    parts = spans.parts_of(server)
    assert list(parts) == ["auth", "classify", "redis"]
    for name, part in parts.items():
        assert part.start_time is not None
        assert part.end_time is not None
        assert server.start_time is not None
        assert server.end_time is not None
        assert server.start_time <= part.start_time <= part.end_time <= server.end_time
        timed = float(exchange.lines.decode().partition(f"{name};dur=")[2].partition(",")[0])
        assert (part.end_time - part.start_time) / 1e6 == pytest.approx(timed, abs=0.002)


def test_the_event_carries_the_span_of_its_request(path: RequestPath, spans: Spans) -> None:
    path.ask(QUESTION)
    (event,) = path.stock.events
    assert event.traceparent == traceparent_of(spans.named("chat"))


def test_no_word_and_no_name_is_in_any_span(path: RequestPath, spans: Spans) -> None:
    path.ask({**QUESTION, "message_id": "a-secret-message"}, ALICE)
    path.ask({**QUESTION, "message": " "}, ALICE)
    path.stock.fault = NotDone("a secret of Redis")
    path.ask(QUESTION, ALICE)
    everything = "".join(span.to_json() for span in spans)
    assert len(spans.names()) > 6
    for secret in ("secret", "bears", "alice", "popular"):
        assert secret not in everything


def test_a_sampled_caller_is_followed(path: RequestPath, spans: Spans) -> None:
    path.chat.tracing = spans.tracing(ratio=0.0)
    path.ask(QUESTION, FOLLOWED)
    server = spans.named("chat")
    assert server.parent is not None
    assert (server.parent.trace_id, server.parent.span_id) == (int("a" * 32, 16), int("b" * 16, 16))
    (event,) = path.stock.events
    assert event.traceparent == traceparent_of(server)
    assert event.traceparent[:35] == SAMPLED[:35]


@pytest.mark.parametrize(
    ("headers", "ratio", "event"),
    [
        ((), 0.4, None),
        ((REFUSED,), 1.0, UNSAMPLED),
        (((b"traceparent", b"00-nonsense"),), 0.4, None),
        (((b"x-amzn-trace-id", XRAY.encode() + b"0"),), 1.0, UNSAMPLED),
        (((b"x-amzn-trace-id", XRAY.encode() + b"?"),), 0.4, None),
    ],
)
def test_what_is_not_sampled_meets_no_tracer(
    path: RequestPath, headers: Sequence[tuple[bytes, bytes]], ratio: float, event: str | None
) -> None:
    table = Requests(ratio=ratio, per_second=1000)
    path.chat.tracing = SampledTracing(NoTracer(), table, chance=lambda: 0.5)
    path.stock.answers[TRENDING] = stored()
    exchange = path.ask(QUESTION, *headers)
    assert (exchange.status, exchange.trace) == (200, None)
    assert [one.traceparent for one in path.stock.events] == [event]


def test_without_traces_a_caller_is_passed_on(path: RequestPath) -> None:
    exchange = path.ask(QUESTION, FOLLOWED)
    assert exchange.trace is None
    assert [one.traceparent for one in path.stock.events] == [SAMPLED]


def test_what_xray_has_sampled_is_followed(path: RequestPath, spans: Spans) -> None:
    path.chat.tracing = spans.tracing(ratio=0.0)
    path.ask(QUESTION, (b"x-amzn-trace-id", XRAY.encode() + b"1"))
    parent = spans.named("chat").parent
    assert parent is not None
    assert parent.trace_id == int("a" * 32, 16)


def test_no_more_is_traced_in_a_second_than_declared(path: RequestPath) -> None:
    spans, now = Spans(), [0.0]
    table = Requests(ratio=1.0, per_second=2)
    path.chat.tracing = SampledTracing(spans.traces, table, clock=lambda: now[0])
    for _ in range(5):
        path.ask(QUESTION, FOLLOWED)
    assert spans.names().count("chat") == 2
    assert path.stock.events[-1].traceparent == UNSAMPLED
    now[0] = 1.0
    path.ask(QUESTION, FOLLOWED)
    assert spans.names().count("chat") == 3


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ({**QUESTION, "message": " "}, (), 422),
        (b"{", (), 400),
        (QUESTION, ((b"authorization", b"Bearer a.b.c"),), 401),
    ],
)
def test_a_refused_request_is_a_span_with_its_status(
    path: RequestPath,
    spans: Spans,
    body: object,
    headers: Sequence[tuple[bytes, bytes]],
    status: int,
) -> None:
    assert path.ask(body, *headers).status == status
    server = spans.named("chat")
    assert said(server)["http.response.status_code"] == status
    assert server.status.status_code is StatusCode.UNSET, "the client's fault is none of ours"


def test_a_mistake_of_ours_fails_the_span(path: RequestPath, spans: Spans) -> None:
    def fail(_message: str, _locale: object) -> Question:
        raise RuntimeError("a secret")

    path.chat.classify = fail  # type: ignore[assignment]
    assert path.ask(QUESTION).status == 500
    server = spans.named("chat")
    assert server.status.status_code is StatusCode.ERROR
    assert said(server)["error.type"] == "500"


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Late("late"), "late"),
        (NotDone("refused"), "unavailable"),
        (Complaint(None, None, (TRENDING,)), "damaged"),
    ],
)
async def test_what_redis_said_is_told(
    path: RequestPath, spans: Spans, fault: MangaAssistError | Complaint, told: str
) -> None:
    if isinstance(fault, Complaint):
        path.stock.complaint = fault
    else:
        path.stock.fault = fault
    path.ask(QUESTION)
    await path.mending.settled()
    found = said(spans.named("chat"))
    assert (found["mangaassist.redis"], found["mangaassist.rung"]) == (told, "canned")


def traced(ratio: float = 1.0) -> tuple[ModelDesk, Spans]:
    found, spans = model_desk(), Spans()
    found.path.chat.tracing = spans.tracing(ratio)
    return found, spans


async def test_the_models_segments_are_in_the_trace_of_its_question() -> None:
    found, spans = traced()
    found.path.stock.begun.add("s-1")
    await found.ask("a dark title")
    server = spans.named("chat")
    parts = spans.parts_of(server)
    assert {"redis", "context", "lease", "search", "prompt", "model"} <= set(parts)
    starts = [parts[name].start_time or 0 for name in ("redis", "context", "prompt", "model")]
    assert starts == sorted(starts)
    assert (said(server)["mangaassist.source"], said(server)["mangaassist.rung"]) == (
        "model",
        "fresh",
    )
    assert [one.traceparent for one in (*found.taken(), *found.completed())] == [
        traceparent_of(server)
    ] * 2


async def test_an_answer_of_the_cache_says_so() -> None:
    found, spans = traced()
    await found.ask("a dark title")
    await found.process.cache.settled()
    await found.ask("a dark title", session="s-2")
    second = [span for span in spans if span.name == "chat"][1]
    assert said(second)["mangaassist.redis"] == "hit"
    assert said(second)["mangaassist.source"] == "cache"
    assert "model" not in spans.parts_of(second)


@pytest.mark.parametrize(
    ("is_searched", "rung", "failed"), [(True, "found", "model"), (False, "generic", "search")]
)
async def test_the_rung_is_on_the_span_where_the_model_is_down(
    is_searched: bool, rung: str, failed: str
) -> None:
    found, spans = traced()
    found.model.fail = Transient("a secret of the model", dependency="model")
    if not is_searched:
        found.search.fail = Transient("a secret of the search", dependency="search")
    exchange = await found.ask("a dark title")
    assert f'rung;desc="{rung}"'.encode() in exchange.lines
    server = spans.named("chat")
    assert said(server)["mangaassist.rung"] == rung
    assert said(server)["mangaassist.source"] == "fallback"
    part = spans.parts_of(server)[failed]
    assert part.status.status_code is StatusCode.ERROR
    assert said(part)["error.type"] == "Transient"
    assert "secret" not in "".join(span.to_json() for span in spans)


def test_who_leaves_before_the_answer_ends_the_span() -> None:
    async def steps() -> None:
        found, spans = traced()
        found.model.seconds_before_first = 1.0
        exchange = found.begin("a dark title")
        while not found.model.running:  # noqa: ASYNC110 - no second passes
            await asyncio.sleep(0.01)
        exchange.leave()
        await found.settled()
        assert said(spans.named("chat"))["mangaassist.outcome"] == "abandoned"

    run(steps())


async def test_a_question_over_a_connection_is_traced_too() -> None:
    spans, site = Spans(), talk()
    site.path.stock.answers[TRENDING] = stored()
    site.switchboard.chat.tracing = spans.tracing()
    conversation, line = site.begin("ann")
    conversation.receive(message())
    assert line.sent[-1]["type"] == "answer"
    assert said(spans.named("ws"))["mangaassist.route"] == "ws"


def test_recommendations_are_traced_with_what_they_were_made_in(desk: Desk) -> None:  # noqa: F811
    spans = Spans()
    desk.route._tracing = spans.tracing()
    desk.get((b"authorization", b"Bearer ann"))
    server = spans.named("recommendations")
    assert said(server)["mangaassist.source"] == "model"
    assert {"redis", "dynamodb", "model"} <= set(spans.parts_of(server))


def test_events_and_feedback_are_traced(path: RequestPath) -> None:
    spans = Spans()
    traced_desk = replace(path.feedback._desk, tracing=spans.tracing())
    path.interactions._desk = path.feedback._desk = traced_desk
    path.stock.owners["s-1"] = "alice"
    event = {"event_id": "e-1", "type": "view", "item_id": "a", "user_id": "alice"}
    path.record({"events": [{**event, "occurred_at": "2027-01-15T08:00:00Z"}]}, ALICE)
    opinion = {"session_id": "s-1", "event_id": str(uuid4()), "signal": "up"}
    path.send(path.feedback, opinion, ALICE)
    for name, written in zip(("events", "feedback"), path.stock.events, strict=True):
        server = spans.named(name)
        assert list(spans.parts_of(server)) == ["auth", "redis"]
        assert said(server)["http.response.status_code"] == 202
        assert written.traceparent == traceparent_of(server)


def test_the_ids_of_traces_begin_with_the_time() -> None:
    spans = Spans()
    span = spans.traces.begin("chat", Role.SERVER)
    span.end({})
    trace_id, _ = context_of(spans.named("chat"))
    assert abs((trace_id >> 96) - (spans.named("chat").start_time or 0) / 1e9) < 60
