"""Writes an answer that a customer asked for and that was missing or stale."""

from collections.abc import Sequence

from config import texts
from domain.answers import AnswerKey, StoredAnswer
from domain.errors import Permanent, Transient
from domain.jobs import WriteAnswer
from domain.ports import Ports, Written
from domain.rendering import title_answer
from tasks.performs import each, performs
from tasks.publishing import stored


@performs(WriteAnswer)
def write_answers(jobs: Sequence[WriteAnswer], ports: Ports) -> None:
    """Write each answer once, however many customers asked for it."""
    once = {(job.answer_kind, job.slug, job.locale): job for job in jobs}
    _write_each(list(once.values()), ports)


@each
def _write_each(job: WriteAnswer, ports: Ports) -> None:
    if job.answer_kind != "title":
        raise Permanent("only answers about titles are written one by one")
    title, now = ports.catalogue.load().get(job.slug), ports.clock()
    if title is not None:
        key = AnswerKey(job.answer_kind, job.slug, job.locale)
        answer = title_answer(texts.declared(), title, job.locale)
        # As old as the question: whatever was written after that makes this write needless.
        _write(key, stored(answer, int(job.occurred_at * 1000), now), ports)


def _write(key: AnswerKey, answer: StoredAnswer, ports: Ports) -> None:
    """A write that fails is not repeated: the next customer who asks causes another."""
    try:
        written = ports.answers.write(key, answer)
    except Transient:
        ports.metrics.count("cache_write_failures_total")
        return
    if written is Written.ALREADY_APPLIED:
        ports.metrics.count("duplicates_total", kind=WriteAnswer.kind)
    elif written is Written.SUPERSEDED:
        ports.metrics.count("superseded_total", kind=WriteAnswer.kind)
