"""Spans of packs: of their sending and their performing, where they carry work of a traced request.

A pack of one trace alone is a part of it. One that mixes them begins a trace of its own, which is
linked to each request's. Without traces, and for packs of untraced requests, nothing is made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from domain.jobs import Job
from domain.tracing import Lineage, Role, Span, TraceContext, Traces, Value, lineage
from workers.ledger import Held
from workers.packing import Pack
from workers.setting_aside import Delivery

NO_LINEAGE = Lineage(None, ())


@dataclass(frozen=True, slots=True)
class Sending:
    """A batch on its way; `packs` name the spans that they travel in."""

    queue: str
    packs: Sequence[Pack[Held]]
    spans: Mapping[str, Span]

    def ended(self, refusals: Mapping[str, str]) -> None:
        """The batch is sent, but for these packs, each with the code of why not."""
        for pack in self.packs:
            span = self.spans.get(pack.id)
            if span is not None:
                said = _message(self.queue, pack.kind, len(pack.jobs))
                span.end(said, refusals.get(pack.id, ""))


def sending(queue: str, batch: Sequence[Pack[Held]], traces: Traces | None) -> Sending:
    """Begin the spans of a batch that is to be sent."""
    spans: dict[str, Span] = {}
    if traces is None:
        return Sending(queue, batch, spans)
    packs = []
    for pack in batch:
        asked = lineage(held.traceparent for held in pack.owners)
        if asked is not None:
            span = spans[pack.id] = traces.begin(
                f"send {queue}", Role.PRODUCER, parent=asked.parent, links=asked.links
            )
            packs.append(replace(pack, traceparent=span.traceparent))
        else:
            packs.append(pack)
    return Sending(queue, packs, spans)


def performing(jobs: Sequence[Job], delivery: Delivery, traces: Traces | None) -> Span | None:
    """Begin the span of a pack that is to be performed; None for one that is not traced.

    It belongs where its message was sent. What the dead letters' retry sends, maybe days later, is
    only linked.
    """
    if traces is None:
        return None
    sent = TraceContext.parse(delivery.traceparent)
    if sent is not None and not sent.is_sampled:
        sent = None
    asked = lineage(job.traceparent for job in jobs)
    if asked is None and sent is None:
        return None
    asked = asked or NO_LINEAGE
    parent = None if delivery.replays else sent or asked.parent
    return traces.begin(f"perform {delivery.kind}", Role.CONSUMER, parent=parent, links=asked.links)


def performed(
    span: Span, delivery: Delivery, outcome: str, *, jobs: int, failed: int, failure: str, down: str
) -> None:
    """End the span: how many jobs of the pack failed, the first one's error, what was down."""
    said: dict[str, Value] = {
        **_message(delivery.queue, delivery.kind, jobs),
        "mangaassist.outcome": outcome,
        "mangaassist.failed": failed,
        "mangaassist.receives": delivery.receives,
        "mangaassist.replays": delivery.replays,
    }
    if down:
        said["mangaassist.dependency"] = down
    span.end(said, failure)


def _message(queue: str, kind: str, jobs: int) -> dict[str, Value]:
    return {
        "messaging.system": "aws_sqs",
        "messaging.destination.name": queue,
        "messaging.batch.message_count": jobs,
        "mangaassist.job": kind,
    }
