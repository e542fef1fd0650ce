"""Spans reach a collector over OTLP where the environment names one, and nothing waits for it."""

import socket
import threading

import pytest

from adapters.otel_traces import CLOSE_SECONDS
from adapters.trace_connection import connect_traces
from domain.tracing import Role, TraceContext
from tests.collector import collecting

VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"
PARENT = TraceContext("a" * 32, "b" * 16, is_sampled=True)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


def test_a_span_reaches_the_collector_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with collecting() as collector:
        monkeypatch.setenv(VARIABLE, collector.url)
        traces = connect_traces("serving")
        assert traces is not None
        span = traces.begin("chat", Role.SERVER, parent=PARENT, links=[PARENT], began=1.0)
        span.part("redis", 1.0, 1.5, "Late")
        span.end({"mangaassist.rung": "stale"}, "500")
        traces.close()
        collected = collector.until(lambda found: len(found) == 2)
    part, server = collected
    assert {one.service for one in collected} == {"mangaassist-serving"}
    assert (server.span.name, server.said["mangaassist.rung"]) == ("chat", "stale")
    assert server.span.trace_id == part.span.trace_id == bytes.fromhex("a" * 32)
    assert server.span.parent_span_id == server.span.links[0].span_id == bytes.fromhex("b" * 16)
    assert part.span.parent_span_id == server.span.span_id
    assert part.span.end_time_unix_nano - part.span.start_time_unix_nano == 500_000_000
    assert part.span.start_time_unix_nano == server.span.start_time_unix_nano
    assert (part.span.status.code, part.said["error.type"]) == (2, "Late")


@pytest.mark.parametrize("variables", [{}, {VARIABLE: ""}, {"OTEL_SDK_DISABLED": "true"}])
def test_without_a_collector_nothing_is_traced(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if "OTEL_SDK_DISABLED" in variables:
        monkeypatch.setenv(VARIABLE, "http://127.0.0.1:1")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert connect_traces("serving") is None


def test_a_collector_that_does_not_answer_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv(VARIABLE, f"http://127.0.0.1:{silent.getsockname()[1]}")
        traces = connect_traces("serving")
        assert traces is not None
        for _ in range(5000):
            traces.begin("chat", Role.SERVER).end({})
        closing = threading.Thread(target=traces.close, daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS + 30.0)
        assert not closing.is_alive()
