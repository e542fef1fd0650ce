"""Holds the model's answers against the guardrails, after they were given."""

from collections.abc import Sequence
from functools import cache, lru_cache

from config import guardrails, models
from domain.catalogue import Catalogue
from domain.errors import Permanent, Transient
from domain.guardrails import Finding, Known, Rules, check, comparable_name, tags, told
from domain.jobs import AppendAudit, CheckAnswer
from domain.ports import TOO_OLD, Ports
from domain.response_cache import StoredResponse, normalised
from tasks.performs import each, performs

RETRACTED = "answer.retracted"


@performs(CheckAnswer)
@each
def check_answers(job: CheckAnswer, ports: Ports) -> None:
    """Take back an answer that breaks a rule, and have the audit log say so."""
    response = ports.responses.open(job.response_key, job.stored)
    known = known_to(ports.catalogue.load())
    findings = check(response.answer(), rules(), known, is_negative=response.is_negative)
    outcome = "retracted" if findings else "passed"
    if findings:
        _take_back(job, response, findings, ports)
    ports.metrics.count("events_total", kind=job.kind, outcome=outcome)


def _take_back(
    job: CheckAnswer, response: StoredResponse, findings: Sequence[Finding], ports: Ports
) -> None:
    ports.responses.retract(response)
    line = AppendAudit(
        event_id=job.event_id,
        producer=job.producer,
        seq=job.seq,
        occurred_at=job.occurred_at,
        traceparent=job.traceparent,
        action=RETRACTED,
        actor="",
        subject=job.response_key,
        outcome=",".join(findings),
    )
    # Comes last: without its line the job comes again, and a second retraction changes nothing.
    for reason in ports.audit.append([line]).values():
        raise Permanent(reason) if reason == TOO_OLD else Transient(reason)
    for finding in findings:
        ports.metrics.count("guardrail_findings_total", finding=finding)


@cache
def rules() -> Rules:
    """The declared rules, ready to be used."""
    table, instructions = guardrails.declared(), models.declared().instructions
    return Rules(
        max_chars=table.max_chars,
        hosts=frozenset(table.hosts),
        bare_host=table.bare_host(),
        other_names=frozenset(map(comparable_name, table.other_names)),
        markers=tuple(map(normalised, (*table.markers, *tags()))),
        told=told((instructions.ja, instructions.en)),
        banned=table.banned_patterns(),
    )


@lru_cache(maxsize=1)
def known_to(catalogue: Catalogue) -> Known:
    """What a catalogue knows; kept while it is the same."""
    titles = catalogue.titles.values()
    names = {comparable_name(name) for t in titles for name in (*t.names(), *t.aliases)}
    return Known(has_item=catalogue.titles.__contains__, has_name=names.__contains__)
