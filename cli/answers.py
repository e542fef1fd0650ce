"""`mangaassist answers`: what is published, one answer whole, made anew, and the version before."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

from adapters.connection import redis_of
from adapters.redis_answers import RedisAnswers, StoredSet
from cli import output
from cli.answers_refresh import outcome, precomputed_kinds, refresher
from cli.failures import FAILED, Failure
from cli.target import aim
from config import answers as declared_answers
from domain.answers import rfc3339
from domain.errors import Refused

ALL = "all"


def list_sets(data_dir: Path | None, *, as_json: bool) -> None:
    """Every published set."""
    sets = RedisAnswers(redis_of(aim(data_dir).settings)).listing()
    if as_json:
        output.document([_document(row) for row in sets])
        return
    headings = ["kind", "version", "answers", "age", "state", "versions before"]
    output.table(headings, [_row(row) for row in sets])


def show(key: str, data_dir: Path | None, *, as_json: bool) -> None:
    """One stored answer; raises Failure where there is none."""
    stored = RedisAnswers(redis_of(aim(data_dir).settings)).show(key)
    if stored is None:
        raise Failure(f"there is no answer under {key!r}; see `mangaassist answers list --json`")
    body = json.loads(stored.body + b"}")
    if as_json:
        output.document(
            {
                "key": key,
                "soft_expires_at": rfc3339(stored.soft_expires_at),
                "hard_expires_at": rfc3339(stored.hard_expires_at),
                **body,
            }
        )
        return
    age = time.time() - stored.generated_at
    state = "fresh" if stored.soft_expires_at > time.time() else "stale"
    output.line(f"{key}  version {stored.version}, {age:.0f} s old, {state}")
    output.line(body["answer"]["text"])
    output.items(body["answer"]["items"], body["answer"]["locale"])


def refresh(kind: str, data_dir: Path | None, *, wait: bool) -> None:
    """Have a kind, or all, made anew."""
    kinds = _kinds(kind)
    ours = refresher(aim(data_dir).settings)
    before = ours.published(kinds)
    ours.request(kinds)
    if not wait:
        output.line(f"asked for {', '.join(kinds)}")
        return
    ours.wait(before, lambda *sets: output.line(outcome(*sets)))


def roll_back(kind: str, data_dir: Path | None, hold_seconds: float) -> None:
    """Serve the version before of a kind, or of all that have one."""
    kinds = _kinds(kind)
    answers = RedisAnswers(redis_of(aim(data_dir).settings))
    refused = []
    for name in kinds:
        try:
            published = answers.roll_back(name, hold_seconds)
        except Refused as error:
            refused.append(str(error))
            continue
        output.line(
            f"{name}: version {published.version} of {rfc3339(published.generated_at)} is served "
            f"again; schedules leave it alone for {hold_seconds / 60:.0f} min"
        )
    if refused:
        raise Failure("; ".join(refused), FAILED)


def _kinds(kind: str) -> Sequence[str]:
    known = precomputed_kinds()
    if kind == ALL:
        return known
    if kind not in known:
        raise Failure(f"there is no kind {kind!r}; there are {', '.join(known)} and {ALL}")
    return [kind]


def _state(row: StoredSet) -> str:
    if row.is_held:
        return "held"
    if not row.published.answers:
        return "none"
    ttl = declared_answers.declared().kinds.rows()[row.published.kind].ttl_seconds
    return "fresh" if time.time() < row.published.generated_at + ttl else "stale"


def _row(row: StoredSet) -> list[str]:
    published = row.published
    before = [str(version) for version in row.versions if version != published.version]
    return [
        published.kind,
        str(published.version),
        str(published.answers),
        f"{time.time() - published.generated_at:.0f} s",
        _state(row),
        ", ".join(before),
    ]


def _document(row: StoredSet) -> dict[str, object]:
    published = row.published
    return {
        "kind": published.kind,
        "version": published.version,
        "generated_at": rfc3339(published.generated_at),
        "answers": published.answers,
        "tick": published.tick,
        "catalogue": published.catalogue,
        "state": _state(row),
        "versions": list(row.versions),
        "keys": list(row.keys),
    }
