"""Ids of events that follow from what happened, so that a retry is the same event.

UUIDs of version 5, made by hand because this is on the request path: `uuid.uuid5` takes three times
as long.
"""

from hashlib import sha1
from uuid import UUID

from domain.events import Signal

_MESSAGE_NAMESPACE = UUID("6f1d7c9e-3c55-5a0e-9b1e-6d616e676131").bytes


def event_id_of_message(owner: str, session_id: str, message_id: str, question: str) -> str:
    """The one id of a client's message, so that a client's retries are the same event.

    Another question is another event, also under an id that was used before: as a duplicate of the
    first its turn would be dropped.
    """
    return _id_of(f"{owner}\x1f{session_id}\x1f{message_id}\x1f{question}")


def event_id_of_completion(asked_event_id: str) -> str:
    """The one id of what was answered to a question: a client's retry completes the same turn."""
    return _id_of(f"completed\x1f{asked_event_id}")


def event_id_of_look_up(owner: str, session_id: str, title_id: str) -> str:
    """The one id of a visitor's look-ups of a title: who asks again wants the same thing.

    Of whoever is not signed in only the session is known.
    """
    visitor = f"user\x1f{owner}" if owner else f"session\x1f{session_id}"
    return _id_of(f"looked up\x1f{visitor}\x1f{title_id}")


def event_id_of_feedback(owner: str, answer_event_id: str, signal: Signal) -> str:
    """The one id of a user's opinion of an answer."""
    return _id_of(f"feedback\x1f{owner}\x1f{answer_event_id}\x1f{signal}")


def _id_of(name: str) -> str:
    digest = bytearray(
        sha1(_MESSAGE_NAMESPACE + name.encode(), usedforsecurity=False).digest()[:16]
    )
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
