"""What jobs have of the event that they follow from."""

from typing import TypedDict

from domain.events import Event


class Header(TypedDict):
    """The fields that every job has, by name."""

    event_id: str
    producer: str
    seq: int
    occurred_at: float
    traceparent: str | None


def header(event: Event) -> Header:
    """The event's own."""
    return {
        "event_id": event.event_id,
        "producer": event.producer,
        "seq": event.seq,
        "occurred_at": event.occurred_at,
        "traceparent": event.traceparent,
    }
