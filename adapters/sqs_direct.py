"""Sends what follows from events straight to SQS, for when neither Redis nor the disk takes them.

Slow beside the relay, and at-least-once: after a failure all of it is sent again. Needs
sqs:SendMessage and GetQueueUrl on the queues of the jobs.
"""

import logging
from collections.abc import Iterator, Sequence
from uuid import uuid4

from adapters.event_jobs import EVENT, translate
from adapters.messages import body_of
from adapters.msgpack_wire import JOB_OVERHEAD_BYTES, PACK_OVERHEAD_BYTES
from adapters.sqs_queues import SqsQueues
from config.queues import Queues, sqs_name
from domain.errors import Malformed, Transient
from domain.jobs import MAX_PACK_BYTES

logger = logging.getLogger(__name__)


class DirectSqs:
    """The way into SQS that asks nobody else."""

    def __init__(self, queues: SqsQueues, table: Queues) -> None:
        self._queues = queues
        self._table = table

    def send(self, events: Sequence[bytes]) -> None:
        """Send the jobs of these events; raises MangaAssistError unless SQS took every one."""
        by_kind: dict[str, list[bytes]] = {}
        for event in events:
            try:
                translated = translate({EVENT: event})
            except Malformed as error:  # made by this process a moment ago: a fault of ours
                logger.error("an event has no jobs: %s", error)  # noqa: TRY400 - says it all
                continue
            for kind, job in translated.jobs:
                by_kind.setdefault(kind, []).append(job)
        for kind, jobs in by_kind.items():
            queue = self._table.of_job(kind)
            limit = self._table.queues[queue].pack_jobs
            bodies = [body_of(kind, pack, str(uuid4())) for pack in _packs(jobs, limit)]
            refused = [o for o in self._queues.send_batch(sqs_name(queue), bodies) if not o.sent]
            if refused:
                raise Transient(f"SQS did not take jobs of {kind}: {refused[0].code}")


def _packs(jobs: Sequence[bytes], limit: int) -> Iterator[list[bytes]]:
    pack: list[bytes] = []
    size = PACK_OVERHEAD_BYTES
    for job in jobs:
        weight = len(job) + JOB_OVERHEAD_BYTES
        if pack and (len(pack) == limit or size + weight > MAX_PACK_BYTES):
            yield pack
            pack, size = [], PACK_OVERHEAD_BYTES
        pack.append(job)
        size += weight
    if pack:
        yield pack
