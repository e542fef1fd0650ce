"""Holds the model's answers against the guardrails, after they were given.

One that breaks a rule is taken back wherever it is: in the response cache, and in the sessions of
those who were given it, also where these are stored later.
"""

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache

from config import guardrails, models
from domain.catalogue import Catalogue
from domain.errors import Permanent, Transient
from domain.events import Locale
from domain.guardrails import Finding, Known, Rules, check, comparable_name, tags, told
from domain.jobs import AppendAudit, CheckAnswer, CheckUnkept
from domain.ports import TOO_OLD, Ports, Verdict
from domain.response_cache import normalised
from tasks.performs import each, performs
from tasks.retractions import take_back

RETRACTED = "answer.retracted"


@performs(CheckAnswer)
@each
def check_answers(job: CheckAnswer, ports: Ports) -> None:
    """Take back an answer that breaks a rule, and have the audit log say so."""
    response = ports.responses.open(job.response_key, job.stored)
    answer = response.answer()
    findings = _findings(answer, ports, is_negative=response.is_negative)
    if findings:
        ports.responses.retract(response)
    locale: Locale = "en" if answer.get("locale") == "en" else "ja"
    _settle(job, response.answer_id, locale, findings, ports)


@performs(CheckUnkept)
@each
def check_unkept_answers(job: CheckUnkept, ports: Ports) -> None:
    """The same for an answer that is cached for nobody."""
    answer = {"text": job.text, "items": [{"id": item_id} for item_id in job.item_ids]}
    findings = _findings(answer, ports, is_negative=job.is_negative)
    _settle(job, job.answer_id, job.locale, findings, ports)


def _findings(
    answer: Mapping[str, object], ports: Ports, *, is_negative: bool
) -> Sequence[Finding]:
    return check(answer, rules(), known_to(ports.catalogue.load()), is_negative=is_negative)


def _settle(
    job: CheckAnswer | CheckUnkept,
    answer_id: str,
    locale: Locale,
    findings: Sequence[Finding],
    ports: Ports,
) -> None:
    given = ports.checks.settle(answer_id, Verdict(bool(findings), locale))
    take_back(given, locale, ports)
    if findings:
        _tell(job, answer_id, findings, ports)
    outcome = "retracted" if findings else "passed"
    ports.metrics.count("events_total", kind=job.kind, outcome=outcome)


def _tell(
    job: CheckAnswer | CheckUnkept, answer_id: str, findings: Sequence[Finding], ports: Ports
) -> None:
    line = AppendAudit(
        event_id=job.event_id,
        producer=job.producer,
        seq=job.seq,
        occurred_at=job.occurred_at,
        traceparent=job.traceparent,
        action=RETRACTED,
        actor="",
        subject=job.response_key if isinstance(job, CheckAnswer) else answer_id,
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
