"""What can't be done and waits for a person: the shape of a parked job, and what it is known by."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256
from uuid import UUID, uuid5

from domain.jobs import CountInteraction, Job

_NAMESPACE = UUID("9d0c2f54-5b0e-5c1c-9a37-6d616e676133")
UNREADABLE = "unreadable"
"""The kind of a message in which no job can be found."""
MAX_HISTORY = 20
"""Lines of history that are kept, the newest ones."""
MAX_LINE = 300
"""Characters of a line of history, or of a detail."""


class Reason(StrEnum):
    """Why something is parked; the label of `parked_total`."""

    PERMANENT = "permanent"
    """A dependency or a rule refuses the job itself."""
    MALFORMED = "malformed"
    """The pack, or a job in it, can't be decoded."""
    UNREADABLE = "unreadable"
    """The message is no envelope of ours."""
    EXHAUSTED = "exhausted"
    """It came back to the dead letters after every replay that is allowed."""
    OPERATOR = "operator"
    """A person parked it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """One job, or one unreadable message, set aside. Times are epoch seconds.

    `payload` is a pack of the one job, as it would be sent again, or for an unreadable message
    its whole body in UTF-8. `history` is oldest first, one line for each thing known to have
    happened to it. It holds what a customer sent: nobody but an operator may see it.
    """

    id: str
    queue: str
    kind: str
    event_id: str
    reason: Reason
    detail: str
    payload: bytes
    first_sent_at: float
    parked_at: float
    receives: int
    replays: int = 0
    history: tuple[str, ...] = ()


def id_of_job(job: Job) -> str:
    """The same for the same job, however often it fails: parking twice is parking once."""
    # The ids of interactions are chosen by clients: those of two users may be the same.
    user = job.user_id if isinstance(job, CountInteraction) else ""
    return str(uuid5(_NAMESPACE, f"{job.kind}\x1f{job.event_id}\x1f{user}"))


def id_of_bytes(payload: bytes) -> str:
    """The id of a job that can't be decoded: the same for the same bytes."""
    return str(uuid5(_NAMESPACE, f"bytes\x1f{sha256(payload).hexdigest()}"))


def id_of_message(message_id: str) -> str:
    """The id of what was parked as a whole message."""
    return str(uuid5(_NAMESPACE, f"message\x1f{message_id}"))


def parked_again(first: Parked, newer: Parked) -> Parked:
    """What is kept where something is parked that is parked already.

    The newer reason and payload, the older times, and the lines of both.
    """
    return replace(
        newer,
        first_sent_at=min(first.first_sent_at, newer.first_sent_at),
        parked_at=first.parked_at,
        receives=max(first.receives, newer.receives),
        replays=max(first.replays, newer.replays),
        history=bounded((*first.history, *newer.history)),
    )


def bounded(history: Sequence[str]) -> tuple[str, ...]:
    """The newest lines, none of them twice or longer than it may be."""
    lines = dict.fromkeys(line[:MAX_LINE] for line in history)
    return tuple(lines)[-MAX_HISTORY:]
