"""The dead-letter queues as the scheduled retry sees them: letters opened, jobs sent in parts.

Over `sqs_dead_letters.py`, with its rights and sqs:SendMessage on the source queues. What this
retry sends carries the headers `replays` and `replayed_at`, as text; whatever else they hold counts
as 0. Looks without waiting, which on SQS may miss what is there: the next run finds it.
"""

from collections.abc import Mapping, Sequence
from uuid import uuid4

from adapters import celery_envelope as envelope
from adapters.msgpack_wire import decode_pack, join_pack, split_pack
from adapters.sqs_dead_letters import DeadLetter, SqsDeadLetters
from adapters.sqs_queues import SqsQueues
from config.queues import sqs_name
from domain.dead_letters import Fault, Letter, SendAgain
from domain.errors import Malformed
from domain.jobs import JOB_TYPES
from domain.parking import UNREADABLE, Reason, id_of_bytes, id_of_job, id_of_message
from domain.ports import LastFailures

REPLAYS, REPLAYED_AT = "replays", "replayed_at"
"""The headers that stamp what was sent again."""
MAX_REPLAYS = 1000

_KINDS = frozenset(job_type.kind for job_type in JOB_TYPES)


class SqsOpenedLetters:
    """Implements `domain.ports.DeadLetters`."""

    def __init__(self, letters: SqsDeadLetters, queues: SqsQueues, failures: LastFailures) -> None:
        self._letters = letters
        self._queues = queues
        self._failures = failures

    def receive(self, queue: str, hide_seconds: int) -> Sequence[Letter]:
        """Some letters, opened and hidden from others for so long; none where there are none."""
        found = self._letters.receive(queue, hide_seconds, wait_seconds=0)
        return [opened(letter, self._failures) for letter in found]

    def send(self, again: Sequence[tuple[Letter, SendAgain]], now: float) -> Mapping[str, str]:
        """Send jobs to the queues they came from, stamped; the ids of letters not wholly taken."""
        left: dict[str, str] = {}
        for queue in dict.fromkeys(letter.queue for letter, _ in again):
            bodies = [
                (letter.id, body)
                for letter, how in again
                if letter.queue == queue
                for body in _bodies(letter, how, now)
            ]
            outcomes = self._queues.send_batch(sqs_name(queue), [body for _, body in bodies])
            for (letter_id, _), outcome in zip(bodies, outcomes, strict=True):
                if not outcome.sent:
                    left[letter_id] = outcome.code
        return left

    def delete(self, letters: Sequence[Letter]) -> Mapping[str, str]:
        """Delete letters; the ids of those that are still there, with the reason."""
        return self._letters.delete([_closed(letter) for letter in letters])

    def release(self, letters: Sequence[Letter]) -> None:
        """Show letters to others again at once."""
        self._letters.release([_closed(letter) for letter in letters])


def opened(letter: DeadLetter, failures: LastFailures) -> Letter:
    """The letter with what can be found out about it."""
    failure = failures.of(letter.id)
    try:
        checked = envelope.check(letter.body, _KINDS)
        pack = _pack(checked.args)
    except envelope.Malformed as error:
        return Letter(
            queue=letter.queue,
            id=letter.id,
            receipt=letter.receipt,
            kind=UNREADABLE,
            fault=Fault(Reason.UNREADABLE, str(error)),
            payload=letter.body.encode("utf-8", "surrogatepass"),
            parked_id=id_of_message(letter.id),
            receives=letter.receives,
            sent_at=letter.sent_at,
            failed_at=failure.at if failure else 0.0,
            last_failure=failure.line if failure else "",
        )
    jobs, fault = _jobs(pack, checked.task)
    parked_id, event_id = _identity(pack, len(jobs))
    return Letter(
        queue=letter.queue,
        id=letter.id,
        receipt=letter.receipt,
        kind=checked.task,
        jobs=jobs,
        fault=fault,
        payload=pack,
        parked_id=parked_id,
        event_id=event_id,
        receives=letter.receives,
        sent_at=letter.sent_at,
        replays=min(int(_stamp(checked, REPLAYS)), MAX_REPLAYS),
        replayed_at=_stamp(checked, REPLAYED_AT),
        failed_at=failure.at if failure else 0.0,
        last_failure=failure.line if failure else "",
    )


def _pack(args: Sequence[object]) -> bytes:
    if len(args) == 1 and isinstance(args[0], bytes):
        return args[0]
    raise envelope.Malformed(envelope.Reason.ARGUMENTS, "the message does not carry one pack")


def _jobs(pack: bytes, kind: str) -> tuple[tuple[bytes, ...], Fault | None]:
    """The jobs as they came, unread: whoever performs them finds out which can't be."""
    try:
        found, _, jobs = split_pack(pack)
    except Malformed as error:
        return (), Fault(Reason.MALFORMED, str(error))
    if found != kind:
        return (), Fault(Reason.MALFORMED, f"a pack of {found} in a message of {kind}")
    if not jobs:
        return (), Fault(Reason.MALFORMED, "there is no job in the pack")
    return tuple(jobs), None


def _identity(pack: bytes, jobs: int) -> tuple[str, str]:
    """What the letter is parked as, and its event."""
    if jobs == 1:
        try:
            (job,) = decode_pack(pack)
        except Malformed:
            return id_of_bytes(pack), ""
        return id_of_job(job), job.event_id
    return id_of_bytes(pack), ""


def _stamp(checked: envelope.Envelope, name: str) -> float:
    value = checked.headers.get(name)
    try:
        return max(0.0, min(float(value), 1e12)) if isinstance(value, str) else 0.0
    except ValueError:
        return 0.0


def _bodies(letter: Letter, how: SendAgain, now: float) -> list[str]:
    kind, version, _ = split_pack(letter.payload)
    headers = {REPLAYS: str(how.replays), REPLAYED_AT: repr(now)}
    return [
        envelope.build(
            kind, join_pack(kind, version, part), message_id=str(uuid4()), headers=headers
        )
        for part in how.parts
    ]


def _closed(letter: Letter) -> DeadLetter:
    return DeadLetter(letter.queue, letter.id, letter.receipt, "", letter.receives, letter.sent_at)
