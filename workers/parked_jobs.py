"""What an operator does with parked jobs: park a dead letter by hand, send parked ones again.

Interrupted, each leaves a job in two places, which the idempotent effects allow, but never in none:
a letter is deleted when all of it is parked, a parked job is removed when its queue has it.
"""

import threading
import time
from collections.abc import Generator, Iterator, Sequence
from typing import Protocol
from uuid import uuid4

from adapters import celery_envelope as envelope
from adapters.msgpack_wire import decode_pack
from adapters.sqs_dead_letters import DeadLetter
from domain.errors import Malformed, MangaAssistError, Permanent, Transient
from domain.parking import UNREADABLE, Parked, Reason
from domain.ports import Parking
from workers.dead_letters import RETRY_HIDE_SECONDS, Choice, DeadLetters, Retried, looking
from workers.setting_aside import (
    Delivery,
    opened,
    parked_bytes,
    parked_job,
    parked_message,
)


class SendBody(Protocol):
    """Sends one message body to a queue of ours."""

    def __call__(self, queue: str, body: str) -> None:
        """Raises MangaAssistError where SQS has not accepted it."""
        ...


def park(
    letters: DeadLetters, parking: Parking, queues: Sequence[str], message_id: str, why: str
) -> list[Parked]:
    """Park every job of a dead letter and delete the letter; none where no queue has it."""
    for queue in queues:
        with looking(letters) as look:
            for letter in look.at(queue, RETRY_HIDE_SECONDS):
                if letter.id == message_id:
                    parked = _parked(letter, why, time.time())
                    if left := parking.park(parked):
                        raise Permanent(f"not parked: {next(iter(left.values()))}")
                    if left := letters.delete([letter]):
                        raise Transient(f"parked, but not deleted: {left[letter.id]}")
                    look.settled(iter([letter]))
                    return parked
    return []


def chosen(parking: Parking, choice: Choice) -> Iterator[Parked]:
    """The parked jobs that are meant, oldest first."""
    found = filter(None, map(parking.get, sorted(choice.ids))) if choice.ids else parking.each()
    return (one for one in found if one.queue in choice.queues)


def retry(
    parking: Parking,
    send: SendBody,
    choice: Choice,
    *,
    dry_run: bool = False,
    per_second: float = 50.0,
    stop: threading.Event | None = None,
) -> Generator[Retried]:
    """Send the chosen ones to be tried again; yields what it has done after every job.

    What no worker can read is refused: it would only come back.
    """
    stop = stop or threading.Event()
    began = time.time()
    done = Retried()
    for one in chosen(parking, choice):
        if stop.is_set():
            return
        if one.parked_at >= began:
            continue  # sent again, and parked again meanwhile
        if reason := unreadable(one):
            done.refused[one.id] = reason
        elif dry_run:
            done.sent.append(one.id)
        else:
            _send(parking, send, one, done)
            stop.wait(1 / per_second)
        yield done


def unreadable(one: Parked) -> str:
    """Why no worker can read it; empty where one can."""
    if one.kind == UNREADABLE:
        return "it is no job"
    try:
        decode_pack(one.payload)
    except Malformed as error:
        return str(error)
    return ""


def _send(parking: Parking, send: SendBody, one: Parked, done: Retried) -> None:
    try:
        send(one.queue, envelope.build(one.kind, one.payload, message_id=str(uuid4())))
    except (MangaAssistError, ValueError) as error:
        done.refused[one.id] = str(error)
        return
    done.sent.append(one.id)
    try:
        # False: it failed again already, and is parked with that.
        parking.remove(one)
    except Transient as error:
        done.left_in_both[one.id] = str(error)


def _parked(letter: DeadLetter, why: str, now: float) -> list[Parked]:
    """The letter as it is set aside: each of its jobs alone."""

    def delivery(kind: str) -> Delivery:
        return Delivery(kind, letter.id, letter.queue, letter.receives)

    try:
        checked = envelope.check(letter.body)
        pack = checked.args[0] if len(checked.args) == 1 else None
        if not isinstance(pack, bytes):
            return [parked_message(letter.body, why, delivery(UNREADABLE), now)]
    except envelope.Malformed:
        return [parked_message(letter.body, why, delivery(UNREADABLE), now)]
    found, came = opened(pack, checked.task), delivery(checked.task)
    return [
        *(parked_job(job, why, came, now, Reason.OPERATOR) for job in found.jobs),
        *(parked_bytes(one, came, now, Reason.OPERATOR) for one in found.undecodable),
    ]
