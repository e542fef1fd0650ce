"""Builds the messages of packs and sends them: the relay's and beat's way into SQS."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from adapters.messages import body_of
from adapters.msgpack_wire import encode_job
from adapters.sqs_queues import Message, SqsQueues
from config.queues import Queues, sqs_name
from domain.errors import Permanent, Transient
from domain.jobs import Job
from domain.tracing import TraceContext
from workers.ledger import Held
from workers.packing import Pack
from workers.sending import Refusal


@dataclass(frozen=True, slots=True)
class SqsSending:
    """Sends to the queues of a table."""

    queues: SqsQueues
    table: Queues

    def packs(self, queue: str, packs: Sequence[Pack[Held]]) -> Mapping[str, Refusal]:
        """Send a batch; the packs that were not taken. See `workers.sending.SendPacks`."""
        outcomes = self.queues.send_messages(sqs_name(queue), list(map(_message, packs)))
        return {
            pack.id: Refusal(outcome.code, outcome.final)
            for pack, outcome in zip(packs, outcomes, strict=True)
            if not outcome.sent
        }

    def jobs(self, jobs: Sequence[Job]) -> None:
        """Send jobs of one kind in full packs; raises MangaAssistError unless all were taken."""
        kind = jobs[0].kind
        queue = self.table.of_job(kind)
        size = self.table.queues[queue].pack_jobs
        bodies = [
            body_of(kind, [encode_job(job) for job in jobs[at : at + size]], str(uuid4()))
            for at in range(0, len(jobs), size)
        ]
        for outcome in self.queues.send_batch(sqs_name(queue), bodies):
            if not outcome.sent:
                error = Permanent if outcome.final else Transient
                raise error(f"SQS did not take jobs of {kind}: {outcome.code}")

    def job(self, job: Job, delay_seconds: int) -> None:
        """Send one job as a pack of its own; raises MangaAssistError unless it was taken."""
        queue = sqs_name(self.table.of_job(job.kind))
        body = body_of(job.kind, [encode_job(job)], str(uuid4()))
        (outcome,) = self.queues.send_batch(queue, [body], delay_seconds)
        if not outcome.sent:
            error = Permanent if outcome.final else Transient
            raise error(f"SQS did not take a job of {job.kind}: {outcome.code}")


def _message(pack: Pack[Held]) -> Message:
    span = TraceContext.parse(pack.traceparent)
    body = body_of(pack.kind, pack.jobs, pack.id, pack.traceparent)
    return Message(body, "" if span is None else span.xray())


def new_pack_id() -> str:
    """An id for a pack; unlike uuid4 it asks the kernel for nothing."""
    return str(UUID(int=random.getrandbits(128), version=4))
