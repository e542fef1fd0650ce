"""A sampled question is one trace at the collector, from the request to the workers."""

import json
import secrets
import urllib.request
from collections.abc import Sequence

import pytest

from tests.collector import Collected, Collector
from tests.system.running import Stack

WORKS = {"session.update", "analytics.emit", "audit.append"}


def ask(stack: Stack, traceparent: str, message: str) -> None:
    """Ask within a trace."""
    body = {"session_id": secrets.token_hex(16), "message": message}
    headers = {"Content-Type": "application/json", "traceparent": traceparent}
    data = json.dumps(body).encode()
    request = urllib.request.Request(f"{stack.http}/v1/chat", data, headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
        assert answer.status == 200


def servers(found: Sequence[Collected], trace_id: bytes) -> list[Collected]:
    """The requests of a trace."""
    return [one for one in found if one.span.name == "chat" and one.span.trace_id == trace_id]


def works(found: Sequence[Collected], server: Collected) -> list[Collected]:
    """What workers did for a request."""
    return [
        one
        for one in found
        if one.span.name.startswith("perform ")
        and any(link.span_id == server.span.span_id for link in one.span.links)
    ]


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
    trace_id, caller = secrets.token_bytes(16), secrets.token_bytes(8)
    ask(stack, f"00-{trace_id.hex()}-{caller.hex()}-01", message.format(secrets.token_hex(4)))

    def is_whole(found: Sequence[Collected]) -> bool:
        return any(
            {work.said["mangaassist.job"] for work in works(found, server)} >= WORKS
            and all(parents(found, work) for work in works(found, server))
            for server in servers(found, trace_id)
        )

    found = collector.until(is_whole)
    (server,) = servers(found, trace_id)
    assert server.service == "mangaassist-serving"
    assert server.span.parent_span_id == caller
    assert server.said["mangaassist.rung"] == "fresh"
    parts = [one for one in found if one.span.parent_span_id == server.span.span_id]
    assert {one.span.name for one in parts} >= segments
    for work in works(found, server):
        assert work.service.startswith("mangaassist-worker-")
        assert work.said["mangaassist.outcome"] == "done"
        assert [sent.service for sent in parents(found, work)] == ["mangaassist-relay"]
