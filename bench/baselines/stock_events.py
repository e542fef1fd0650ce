"""Stock Celery on stock kombu: one task, and one SQS message, for each event.

The transport options and the effect come from the environment, so that one module serves the
defaults and the best tuning, the sink in memory and Kinesis.
"""

import json
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import boto3
from celery import Celery

from bench.sink import ENVIRONMENT, Sink

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

QUEUE = "bench-stock"


class EventMessage(TypedDict):
    """An event as a task's argument."""

    event_id: str
    number: int
    type: str
    occurred_at: float
    attributes: dict[str, str | None]


app = Celery("stock", broker="sqs://")
app.conf.update(
    broker_transport_options={
        "region": os.environ["AWS_REGION"],
        "predefined_queues": {QUEUE: {"url": os.environ["BENCH_STOCK_QUEUE_URL"]}},
        **json.loads(os.environ.get("BENCH_STOCK_OPTIONS", "{}")),
    },
    task_default_queue=QUEUE,
    task_ignore_result=True,
    worker_enable_remote_control=False,
)


@cache
def _sink() -> Sink:
    return Sink(Path(os.environ[ENVIRONMENT]))


@cache
def _kinesis() -> "KinesisClient":
    return boto3.client("kinesis")


@app.task
def keep_in_memory(event: EventMessage) -> None:
    """Apply the event to the sink."""
    _sink().apply(event["number"])


@app.task
def put_record(event: EventMessage) -> None:
    """Send the event to the analytics stream."""
    _kinesis().put_record(
        StreamName=os.environ["BENCH_STREAM"],
        Data=json.dumps(event).encode(),
        PartitionKey=event["event_id"],
    )
    _sink().apply(event["number"])
