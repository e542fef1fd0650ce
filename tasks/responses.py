"""Makes the model's new answers last in the response cache."""

from domain.errors import Transient
from domain.jobs import WriteResponse
from domain.ports import Ports, Written
from tasks.performs import each, performs

_OUTCOMES = {Written.APPLIED: "applied", Written.ALREADY_APPLIED: "applied"}


@performs(WriteResponse)
@each
def write_responses(job: WriteResponse, ports: Ports) -> None:
    """Keep a response until its hard expiry; one that nobody could keep is computed again."""
    response = ports.responses.open(job.response_key, job.stored)
    seconds = response.hard_expires_at - ports.clock()
    if seconds <= 0:
        _count("expired", ports)
        return
    try:
        written = ports.responses.keep(response, job.stored, seconds)
    except Transient:
        ports.metrics.count("cache_write_failures_total")
        return
    if written is Written.SUPERSEDED:
        ports.metrics.count("superseded_total", kind=job.kind)
    _count(_OUTCOMES.get(written, written.name.lower()), ports)


def _count(outcome: str, ports: Ports) -> None:
    ports.metrics.count("events_total", kind=WriteResponse.kind, outcome=outcome)
