"""Makes of what SQS gave what kombu turns into a Celery message, after checking all of it."""

from collections.abc import Container, Mapping
from typing import Any

from adapters.celery_envelope import check
from workers.receiving import receive_count
from workers.transport_options import QueueOptions

Payload = dict[str, Any]


def unwrapped(message: Mapping[str, Any], queue: QueueOptions, known: Container[str]) -> Payload:
    """The payload; raises Malformed for what is no task of these names."""
    envelope = check(message.get("Body"), known)
    return envelope.payload(
        str(message["ReceiptHandle"]),
        {
            "exchange": "",
            "routing_key": queue.name,
            "redelivered": receive_count(message) > 1,
            "sqs_queue": queue.url,
            "sqs_message": {k: v for k, v in message.items() if k != "Body"},
        },
    )


def tag_of(payload: Payload) -> str:
    """The receipt handle, which kombu calls the delivery tag."""
    return str(payload["properties"]["delivery_tag"])


def receives_of(payload: Payload) -> int:
    """How often SQS has given it out."""
    return receive_count(payload["properties"]["delivery_info"]["sqs_message"])


def kind_of(payload: Payload) -> str:
    """The task that it asks for."""
    return str(payload["headers"].get("task", ""))
