"""Computes and publishes the answers of one kind before customers ask.

Beat's jobs carry the start of their period and are done once for each; a job that a reader's
stale answer caused is done unless a newer set is there; what an operator asks for is always done.
"""

from domain.errors import Transient
from domain.jobs import PrecomputeAnswers
from domain.ports import Ports, PublishedSet
from domain.rendering import render
from tasks.performs import each, performs
from tasks.publishing import material, next_version, row_of, stored

LEASE_SECONDS = 15.0
"""Longer than any computation takes: whoever dies with the lease delays the next by this."""

SKEW_SECONDS = 60.0
"""The clocks of two workers may be so far apart."""


@performs(PrecomputeAnswers)
@each
def precompute_answers(job: PrecomputeAnswers, ports: Ports) -> None:
    """Publish a new set or withdraw the kind, unless this job is done already or the kind held."""
    row_of(job.answer_kind)
    if _is_needless(job, ports):
        ports.metrics.count("duplicates_total", kind=job.kind)
    elif not ports.answers.claim(job.answer_kind, LEASE_SECONDS):
        _leave_to_the_other(job, ports)
    else:
        _publish_with_lease(job, ports)


def _leave_to_the_other(job: PrecomputeAnswers, ports: Ports) -> None:
    """Whoever computes now also replaces what a reader found stale; all else comes again."""
    if job.stale_version is None:
        raise Transient(f"somebody else is computing {job.answer_kind}")
    ports.metrics.count("duplicates_total", kind=job.kind)


def _publish_with_lease(job: PrecomputeAnswers, ports: Ports) -> None:
    try:
        # Whoever had the lease may have done this very job.
        if not _is_needless(job, ports):
            _publish(job, ports)
    finally:
        ports.answers.unclaim(job.answer_kind)


def _publish(job: PrecomputeAnswers, ports: Ports) -> None:
    kind, started = job.answer_kind, ports.clock()
    current = ports.answers.current(kind)
    version = next_version(current, started)
    made_of = material(kind, ports, started)
    answers = render(kind, made_of)
    ready = {key: stored(answer, version, started) for key, answer in answers.items()}
    tick, catalogue = _tick(job, current), made_of.catalogue.version
    published = PublishedSet(kind, version, started, tick, len(ready), catalogue)
    if ready:
        ports.answers.publish(published, ready)
    else:
        # What is served is of another catalogue, or of another month.
        ports.answers.withdraw(published, row_of(kind).hard_ttl_seconds)
    if _is_wish(job):
        ports.answers.release(kind)
    ports.metrics.observe("precompute_seconds", ports.clock() - started, kind=kind)
    ports.metrics.set("published_answers", len(ready), kind=kind)


def _is_needless(job: PrecomputeAnswers, ports: Ports) -> bool:
    if _is_wish(job):
        return False
    if ports.answers.held(job.answer_kind):
        return True
    current = ports.answers.current(job.answer_kind)
    if current is None:
        return False
    if job.tick is not None:
        # After a jump of a clock beat's ticks seem done for as long as it jumped.
        is_done = current.tick is not None and current.tick >= job.tick
        return is_done and _is_fresh(current, ports.clock())
    return job.stale_version is not None and current.version > job.stale_version


def _is_wish(job: PrecomputeAnswers) -> bool:
    """Whether an operator asked for it, which also ends the hold of a rollback."""
    return job.tick is None and job.stale_version is None


def _is_fresh(current: PublishedSet, now: float) -> bool:
    """Whether the set is neither past its time to live nor made by a clock that was ahead."""
    age = now - current.generated_at
    return -SKEW_SECONDS <= age < row_of(current.kind).ttl_seconds


def _tick(job: PrecomputeAnswers, current: PublishedSet | None) -> int | None:
    """The period last done: a refresh on demand does not undo that of the set before."""
    return job.tick if job.tick is not None or current is None else current.tick
