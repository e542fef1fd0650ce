"""Turns one outbox entry into the encoded jobs that follow from it.

Pure but for the wire format; knows no Redis connection and no queue.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adapters.msgpack_wire import decode_event, encode_job, largest_job_bytes
from domain.answers import Header, hash_of
from domain.errors import Malformed
from domain.events import (
    AnswerServed,
    Event,
    QuestionTaken,
    RecommendationServed,
    Served,
    ServedFrom,
)
from domain.personal_answers import catalogue_in, recommendation_key
from domain.questions import QuestionKind
from domain.reactions import react
from domain.response_cache import answer_id_of

EVENT, FOUND, HEAD = b"e", b"f", b"h"
"""The fields of an entry, as `adapters/redis_functions.lua` writes them."""

OF_A_CATALOGUE = (QuestionTaken, RecommendationServed)
_FOUND = {b"1": ServedFrom.PRECOMPUTED, b"2": ServedFrom.FALLBACK}


@dataclass(frozen=True, slots=True)
class Translated:
    """The type of an event, its jobs, the kind and the bytes of each, and its trace context."""

    event_type: str
    jobs: Sequence[tuple[str, bytes]]
    traceparent: str | None = None


def translate(fields: Mapping[bytes, bytes]) -> Translated:
    """The jobs of an entry with these fields; raises Malformed for what cannot be understood."""
    encoded = fields.get(EVENT)
    if encoded is None:
        raise Malformed("the entry holds no event")
    event = decode_event(encoded)
    served = None
    if isinstance(event, (AnswerServed, RecommendationServed)):
        served = _served(fields, event)
    return Translated(type(event).type, _jobs(event, served), event.traceparent)


def _jobs(event: Event, served: Served | None) -> Sequence[tuple[str, bytes]]:
    try:
        jobs = react(event, served)
    except NotImplementedError as error:
        raise Malformed(str(error)) from error
    encoded = [(job.kind, encode_job(job)) for job in jobs]
    for kind, job in encoded:
        if len(job) > largest_job_bytes():
            raise Malformed(f"a {kind} job of {len(job)} bytes does not fit into a pack")
    return encoded


def _own_key(event: AnswerServed | RecommendationServed) -> str | None:
    """Where the answer lies that is the user's own; None where everybody gets the same."""
    is_shared = isinstance(event, AnswerServed) and event.kind != QuestionKind.RECOMMENDATION
    return None if is_shared or not event.owner else recommendation_key(event.owner)


def _served(fields: Mapping[bytes, bytes], event: AnswerServed | RecommendationServed) -> Served:
    source = _FOUND.get(fields.get(FOUND, b""), ServedFrom.NOTHING)
    head = fields.get(HEAD, b"")
    try:
        header = Header.unpack(head)
    except Malformed:
        return Served(source)  # what is wrong with a stored answer must not cost the event
    preview = header.preview(head)
    own_key = _own_key(event)
    if source is ServedFrom.PRECOMPUTED and own_key is not None:
        # Another user's was not shown, one of another catalogue not as it was found.
        if header.key_hash != hash_of(own_key):
            return Served(ServedFrom.FALLBACK)
        if isinstance(event, OF_A_CATALOGUE) and event.catalogue != catalogue_in(preview):
            source = ServedFrom.OUTDATED
    return Served(
        source,
        version=header.version,
        generated_at=header.generated_at,
        soft_expires_at=header.soft_expires_at,
        preview=preview,
        answer_id=answer_id_of(header.key_hash, header.version),
    )
