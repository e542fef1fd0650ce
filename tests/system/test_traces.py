"""A sampled question is one trace at the collector, from the request to the workers."""

import json
import secrets
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from tests.collector import Collected, Collector
from tests.system.running import Stack, eventually

FRESH = {"precomputed", "model"}
WORKS = {"session.update", "analytics.emit", "audit.append"}
SECONDS = 15.0
"""After which another question is asked; also what comes later counts."""


def ask(stack: Stack, traceparent: str, message: str) -> str:
    """Ask within a trace; where the answer comes from."""
    body = {"session_id": secrets.token_hex(16), "message": message}
    headers = {"Content-Type": "application/json", "traceparent": traceparent}
    data = json.dumps(body).encode()
    request = urllib.request.Request(f"{stack.http}/v1/chat", data, headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
        assert answer.status == 200
        return str(json.load(answer)["source"])


@dataclass(frozen=True)
class Traced:
    """A question, by its trace and the span of whoever asked it."""

    trace_id: bytes
    caller: bytes


def ask_freshly(stack: Stack, message: str) -> Traced:
    """Ask; where somebody is late on a busy machine, ask something else."""

    def ask_once() -> tuple[Traced, str]:
        asked = Traced(secrets.token_bytes(16), secrets.token_bytes(8))
        traceparent = f"00-{asked.trace_id.hex()}-{asked.caller.hex()}-01"
        return asked, ask(stack, traceparent, message.format(secrets.token_hex(4)))

    return eventually(ask_once, lambda found: found[1] in FRESH)[0]


def servers(found: Sequence[Collected], trace_id: bytes) -> list[Collected]:
    """The requests of a trace."""
    return [one for one in found if one.span.name == "chat" and one.span.trace_id == trace_id]


def works(found: Sequence[Collected], server: Collected) -> list[Collected]:
    """What workers have done for a request; what failed was tried again."""
    return [
        one
        for one in found
        if one.span.name.startswith("perform ")
        and one.said["mangaassist.outcome"] == "done"
        and any(link.span_id == server.span.span_id for link in one.span.links)
    ]


def parts(found: Sequence[Collected], server: Collected) -> list[Collected]:
    """The segments of a request."""
    return [one for one in found if one.span.parent_span_id == server.span.span_id]


def parents(found: Sequence[Collected], work: Collected) -> list[Collected]:
    """What sent the pack of this work; it may come later than what was done with it."""
    return [one for one in found if one.span.span_id == work.span.parent_span_id]


@pytest.mark.parametrize(
    ("message", "segments"),
    [
        ("what is popular", {"auth", "classify", "redis"}),
        ("which one is about {} and sad?", {"redis", "search", "prompt", "model"}),
    ],
)
def test_a_sampled_question_is_one_trace(
    stack: Stack, collector: Collector, message: str, segments: set[str]
) -> None:
    traces: list[Traced] = []

    def is_whole(found: Sequence[Collected], trace: Traced) -> bool:
        return any(
            {work.said["mangaassist.job"] for work in works(found, server)} >= WORKS
            and all(parents(found, work) for work in works(found, server))
            and {part.span.name for part in parts(found, server)} >= segments
            for server in servers(found, trace.trace_id)
        )

    def look() -> tuple[Sequence[Collected], Traced | None]:
        traces.append(ask_freshly(stack, message))
        found = collector.within(
            SECONDS, lambda come: any(is_whole(come, trace) for trace in traces)
        )
        return found, next((trace for trace in traces if is_whole(found, trace)), None)

    # Spans that the collector does not take within their time are given up for good.
    found, trace = eventually(look, lambda looked: looked[1] is not None)
    assert trace is not None
    (server,) = servers(found, trace.trace_id)
    assert server.service == "mangaassist-serving"
    assert server.span.parent_span_id == trace.caller
    assert server.said["mangaassist.rung"] == "fresh"
    for work in works(found, server):
        assert work.service.startswith("mangaassist-worker-")
        assert [sent.service for sent in parents(found, work)] == ["mangaassist-relay"]
