"""What can't be done and waits for a person: the shape of a parked job, and what it is known by."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID, uuid5

from domain.jobs import Job

_NAMESPACE = UUID("9d0c2f54-5b0e-5c1c-9a37-6d616e676133")
UNREADABLE = "unreadable"
"""The kind of a message in which no job can be found."""


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
    return str(uuid5(_NAMESPACE, f"{job.kind}\x1f{job.event_id}"))


def id_of_message(message_id: str) -> str:
    """The id of what was parked as a whole message."""
    return str(uuid5(_NAMESPACE, f"message\x1f{message_id}"))
