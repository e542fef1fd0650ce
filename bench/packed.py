"""Our way onto a queue: events packed by the relay's packer, sent by SendMessageBatch.

The relay does the same from the outbox; here the packing and sending alone are wanted.
"""

import itertools
import time
import uuid
from typing import TYPE_CHECKING

from adapters.celery_envelope import build
from adapters.msgpack_wire import encode_job, join_pack
from bench.numbered import analytics_job
from config.queues import declared
from domain.jobs import EmitAnalytics
from workers.packing import Limits, Packer

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

QUEUE = "analytics"


def send(client: "SQSClient", url: str, events: int) -> None:
    """Put so many events on the queue; raises RuntimeError where SQS does not take all."""
    row = declared().queues[QUEUE]
    limits = Limits(pack_jobs=row.pack_jobs, linger_seconds=row.linger_ms / 1000)
    packer: Packer[None] = Packer(limits, new_id=lambda: str(uuid.uuid4()))
    for number in range(events):
        packer.add(EmitAnalytics.kind, encode_job(analytics_job(number)), None, time.monotonic())
        if packer.due_at() == float("-inf"):
            _send_batch(client, url, packer, flush=False)
    while packer.due_at() is not None:
        _send_batch(client, url, packer, flush=True)


def _send_batch(client: "SQSClient", url: str, packer: Packer[None], *, flush: bool) -> None:
    packs = packer.take(time.monotonic(), flush=flush)
    reply = client.send_message_batch(
        QueueUrl=url,
        Entries=[
            {
                "Id": str(place),
                "MessageBody": build(
                    pack.kind,
                    join_pack(pack.kind, EmitAnalytics.version, pack.jobs),
                    message_id=pack.id,
                ),
            }
            for place, pack in zip(itertools.count(), packs, strict=False)
        ],
    )
    if reply.get("Failed"):
        raise RuntimeError(f"SQS took only a part: {reply['Failed'][0]}")
