"""What is parked of a pack: jobs that can never succeed, and what of a pack can't be decoded."""

from collections.abc import Sequence
from dataclasses import dataclass

from adapters.msgpack_wire import decode_pack, encode_pack, join_pack, split_pack
from domain.answers import rfc3339
from domain.errors import Malformed
from domain.jobs import Job
from domain.parking import MAX_LINE, Parked, Reason, bounded, id_of_bytes, id_of_job, id_of_message


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a pack came; `replays` is how often the retry of dead letters has sent it.

    `traceparent` is what its message says of the span that it was sent in.
    """

    kind: str
    message_id: str
    queue: str
    receives: int
    replays: int = 0
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Undecodable:
    """A job, or a whole pack, that can't be decoded; `payload` is a pack."""

    payload: bytes
    detail: str


@dataclass(frozen=True, slots=True)
class Opened:
    """The jobs of a pack, and what of it can't be decoded."""

    jobs: Sequence[Job]
    undecodable: Sequence[Undecodable] = ()


def opened(pack: bytes, kind: str) -> Opened:
    """The jobs of a pack that should be of this kind; never raises."""
    try:
        found, version, encoded = split_pack(pack)
    except Malformed as error:
        return Opened((), (Undecodable(pack, str(error)),))
    if found != kind:
        return Opened((), (Undecodable(pack, f"a pack of {found} in a message of {kind}"),))
    try:
        return Opened(decode_pack(pack))
    except Malformed:
        return _one_by_one([join_pack(found, version, [job]) for job in encoded])


def _one_by_one(packs: Sequence[bytes]) -> Opened:
    jobs: list[Job] = []
    undecodable: list[Undecodable] = []
    for pack in packs:
        try:
            jobs += decode_pack(pack)
        except Malformed as error:
            undecodable.append(Undecodable(pack, str(error)))
    return Opened(jobs, undecodable)


def parked_job(
    job: Job, detail: str, delivery: Delivery, now: float, reason: Reason = Reason.PERMANENT
) -> Parked:
    """A job that can never succeed, or that nobody shall try again, as it is parked."""
    return _parked(
        delivery,
        now,
        parked_id=id_of_job(job),
        event_id=job.event_id,
        reason=reason,
        detail=detail,
        payload=encode_pack([job]),
        first_sent_at=job.occurred_at,
    )


def parked_bytes(
    found: Undecodable, delivery: Delivery, now: float, reason: Reason = Reason.MALFORMED
) -> Parked:
    """What can't be decoded, as it is parked."""
    return _parked(
        delivery,
        now,
        parked_id=id_of_bytes(found.payload),
        event_id="",
        reason=reason,
        detail=found.detail,
        payload=found.payload,
        first_sent_at=now,
    )


def parked_message(body: str, detail: str, delivery: Delivery, now: float) -> Parked:
    """A whole message in which no job can be found, as a person parks it."""
    return _parked(
        delivery,
        now,
        parked_id=id_of_message(delivery.message_id),
        event_id="",
        reason=Reason.OPERATOR,
        detail=detail,
        payload=body.encode("utf-8", "surrogatepass"),
        first_sent_at=now,
    )


def _parked(
    delivery: Delivery,
    now: float,
    *,
    parked_id: str,
    event_id: str,
    reason: Reason,
    detail: str,
    payload: bytes,
    first_sent_at: float,
) -> Parked:
    tried = f"receive {delivery.receives} of message {delivery.message_id}"
    return Parked(
        id=parked_id,
        queue=delivery.queue,
        kind=delivery.kind,
        event_id=event_id,
        reason=reason,
        detail=detail[:MAX_LINE],
        payload=payload,
        first_sent_at=first_sent_at,
        parked_at=now,
        receives=delivery.receives,
        replays=delivery.replays,
        history=bounded([f"{rfc3339(now)} {reason} at {tried}: {detail}"]),
    )
