"""The body of the SQS message that carries a pack of encoded jobs."""

from collections.abc import Sequence

from adapters.celery_envelope import build
from adapters.msgpack_wire import join_pack
from domain.jobs import JOB_TYPES

TRACEPARENT = "traceparent"
"""The header of a message that says in which span it was sent."""

_VERSIONS = {job_type.kind: job_type.version for job_type in JOB_TYPES}


def body_of(kind: str, jobs: Sequence[bytes], message_id: str, traceparent: str = "") -> str:
    """Jobs of one kind, each as `encode_job` gives it, as one message; in a span, if it has one."""
    headers = {TRACEPARENT: traceparent} if traceparent else None
    pack = join_pack(kind, _VERSIONS[kind], jobs)
    return build(kind, pack, message_id=message_id, headers=headers)
