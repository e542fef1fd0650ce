"""Stock Celery on stock kombu: one task, and one SQS message, for each thing to do."""

import os

from celery import Celery

QUEUE = "bench-stock"

app = Celery("obvious", broker="sqs://")
app.conf.update(
    broker_transport_options={
        "region": os.environ.get("AWS_REGION", "us-east-1"),
        "predefined_queues": {QUEUE: {"url": os.environ["BENCH_STOCK_QUEUE_URL"]}},
    },
    task_default_queue=QUEUE,
    task_ignore_result=True,
    worker_enable_remote_control=False,
)


@app.task
def update_session(session_id: str, message: str, event_id: str) -> None:
    """Add the turn to the session."""


@app.task
def emit_analytics(event_id: str, kind: str) -> None:
    """Send a record to the analytics stream."""


@app.task
def write_cache(key: str, event_id: str) -> None:
    """Keep the answer in the response cache."""


@app.task
def append_audit(event_id: str, session_id: str, outcome: str) -> None:
    """Append a line to the audit log."""
