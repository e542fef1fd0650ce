"""What `doctor` looks at in Redis: the server, the published answers, the outbox."""

import time
from collections.abc import Iterator

from adapters.connection import redis_of
from adapters.redis_answers import RedisAnswers
from adapters.redis_outbox import RedisOutbox
from cli.answers_refresh import precomputed_kinds, why_none
from cli.findings import Finding, fail, ok, warn
from cli.output import number
from cli.trips import median_ms
from config import answers
from config.settings import Settings

OUTBOX_SECONDS = 10.0
"""The relay takes entries within a fraction of this."""


def server(settings: Settings) -> Iterator[Finding]:
    """Redis answers."""
    yield ok("redis", f"answers in {median_ms(redis_of(settings).ping):.1f} ms")


def published(settings: Settings) -> Iterator[Finding]:
    """Every kind has answers, and they are fresh."""
    sets = RedisAnswers(redis_of(settings))
    rows = answers.declared().kinds.rows()
    for kind in precomputed_kinds():
        what = f"answers {kind}"
        current = sets.current(kind)
        if current is None:
            yield fail(what, "none are published", f"mangaassist answers refresh {kind}")
            continue
        age = time.time() - current.generated_at
        many = number(current.answers, "answer") if current.answers else f"none: {why_none(kind)}"
        made_of = f" of catalogue {current.catalogue[:12]}" if current.catalogue else ""
        detail = f"{many}, version {current.version}{made_of}, {age:.0f} s old"
        if age > rows[kind].ttl_seconds:
            yield warn(what, f"{detail}: stale", "see whether beat and the precompute worker run")
        elif sets.held(kind):
            yield warn(what, f"{detail}: held", f"`mangaassist answers refresh {kind}` ends that")
        else:
            yield ok(what, detail)


def outbox(settings: Settings) -> Iterator[Finding]:
    """What is in the outbox is taken out of it, and none of it had to be set aside."""
    box = RedisOutbox(redis_of(settings), settings.outbox_shards)
    depth, oldest = box.depth(), box.oldest_seconds()
    detail = f"{number(depth, 'entry', 'entries')}, the oldest of {oldest:.1f} s"
    if depth and oldest > OUTBOX_SECONDS:
        yield warn("outbox", detail, "see whether a relay runs and reaches SQS")
    else:
        yield ok("outbox", detail)
    aside = box.malformed()
    if aside:
        what = f"{number(aside, 'entry', 'entries')} set aside"
        yield warn("outbox malformed", what, "docs/runbooks/outbox.md")
