"""What publishing answers has in common: the material, the version and the declared figures."""

from config import answers, texts
from config.answers import KindRow
from domain.answers import Answer, StoredAnswer, store
from domain.errors import Permanent
from domain.ports import Ports, PublishedSet
from domain.rendering import RENDERED_KINDS, Material


def row_of(kind: str) -> KindRow:
    """The declared figures of a kind; raises Permanent for one that has no stored answers."""
    if kind not in RENDERED_KINDS:
        raise Permanent("there are no stored answers of this kind")
    return answers.declared().kinds.rows()[kind]


def material(kind: str, ports: Ports, now: float) -> Material:
    """What the answers of a kind are made of now."""
    row = row_of(kind)
    return Material(
        catalogue=ports.catalogue.load(),
        scores=ports.counts.scores(now) if row.source == "interactions" else {},
        today=ports.today(now),
        phrases=texts.declared(),
        locales=row.locales,
        top_n=row.top_n,
        trend_days=answers.declared().trending.window_days,
    )


def stored(answer: Answer, version: int, now: float) -> StoredAnswer:
    """The answer with the times to live of its kind."""
    row = row_of(answer.key.kind)
    return store(
        answer,
        version=version,
        now=now,
        ttl_seconds=row.ttl_seconds,
        hard_ttl_seconds=row.hard_ttl_seconds,
    )


def next_version(current: PublishedSet | None, now: float) -> int:
    """Milliseconds since 1970, but more than the version before whatever the clock says."""
    return max(int(now * 1000), current.version + 1 if current else 0)
