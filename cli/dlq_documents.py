"""A dead letter or a parked job as an operator sees it: a JSON document, a line of a list.

Both hold what customers sent: their questions, and who asked. Whoever may read the queues and the
table may see it; `hidden` is for what goes further than that.
"""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from adapters.msgpack_wire import decode_pack
from cli.output import number
from domain.answers import rfc3339
from domain.errors import Malformed
from domain.jobs import Job
from domain.parking import UNREADABLE, Parked
from workers.dead_letters import Detail, Row

Document = Mapping[str, Any]

PERSONAL = frozenset(
    {
        "actor",
        "answer_preview",
        "attributes",
        "item_ids",
        "items",
        "message_id",
        "owner",
        "question",
        "session_id",
        "stored",
        "subject",
        "text",
        "user_id",
    }
)
"""The fields of jobs that hold what a customer wrote, or say who it was."""
HIDDEN = "[hidden]"
HEADINGS = ("state", "queue", "id", "kind", "jobs", "receives", "age", "reason")


def letter_row(row: Row) -> Document:
    """A dead letter in a list."""
    return {
        "state": "dead",
        "queue": row.queue,
        "id": row.id,
        "kind": row.kind,
        "jobs": row.jobs,
        "receives": row.receives,
        "first_seen": rfc3339(row.first_seen),
        "age_seconds": round(row.age_seconds, 3),
        "reason": row.reason,
    }


def parked_row(one: Parked, now: float) -> Document:
    """A parked job in a list."""
    return {
        "state": "parked",
        "queue": one.queue,
        "id": one.id,
        "kind": one.kind,
        "jobs": len(_jobs(one)),
        "receives": one.receives,
        "first_seen": rfc3339(one.first_sent_at),
        "age_seconds": round(now - one.first_sent_at, 3),
        "reason": one.reason.value,
    }


def letter(found: Detail) -> Document:
    """A dead letter opened."""
    document = {
        **letter_row(found.row),
        "contents": [_job(job) for job in found.jobs],
    }
    return {**document, "body": found.letter.body} if found.row.reason else document


def parked(one: Parked, now: float) -> Document:
    """A parked job opened; what can't be decoded as it came."""
    jobs = _jobs(one)
    document = {
        **parked_row(one, now),
        "detail": one.detail,
        "event_id": one.event_id,
        "parked_at": rfc3339(one.parked_at),
        "replays": one.replays,
        "history": list(one.history),
        "contents": [_job(job) for job in jobs],
    }
    if jobs:
        return document
    if one.kind == UNREADABLE:
        return {**document, "body": one.payload.decode("utf-8", "replace")}
    return {**document, "payload_base64": b64encode(one.payload).decode("ascii")}


def hidden(document: Document) -> Document:
    """The same without what a customer wrote or who it was."""
    contents = [
        {name: HIDDEN if name in PERSONAL and value else value for name, value in job.items()}
        for job in document["contents"]
    ]
    raw = {name: HIDDEN for name in ("body", "payload_base64") if name in document}
    return {**document, "contents": contents, **raw}


def cells(row: Document) -> Sequence[str]:
    """A line of a list, under HEADINGS."""
    age = f"{row['age_seconds']:.0f} s"
    return [str({**row, "age": age}[heading]) for heading in HEADINGS]


def lines(document: Document) -> Sequence[str]:
    """One opened, for people."""
    one = document
    received = number(one["receives"], "time")
    what = f"{one['id']}  {one['kind']} on {one['queue']}, received {received}"
    said = [what if one["state"] == "dead" else f"{what}, parked: {one['reason']}"]
    if one["state"] == "dead" and one["reason"]:
        said.append(f"it cannot be read: {one['reason']}")
    if one.get("detail"):
        said.append(one["detail"])
    said += one.get("history", [])
    return [*said, *(json.dumps(job, ensure_ascii=False) for job in one["contents"])]


def _job(job: Job) -> Document:
    return {"kind": job.kind, **asdict(job)}


def _jobs(one: Parked) -> Sequence[Job]:
    if one.kind == UNREADABLE:
        return []
    try:
        return decode_pack(one.payload)
    except Malformed:
        return []
