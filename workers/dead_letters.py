"""What an operator does with dead letters: list them, look into one, send them to be tried again.

Looking hides messages for some seconds and shows them again when done, interrupted or not. A retry
deletes a dead letter only after its source queue has accepted it: interrupted, it can leave a
message in both, which the idempotent effects allow, but never in none.
"""

import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from adapters import celery_envelope as envelope
from adapters.msgpack_wire import decode_pack
from adapters.sqs_dead_letters import DeadLetter
from domain.errors import Malformed, Transient
from domain.jobs import Job

HIDE_SECONDS = 30
RETRY_HIDE_SECONDS = 120
UNREADABLE = "unreadable"


class DeadLetters(Protocol):
    """What is needed of the queues; see `adapters/sqs_dead_letters.py`."""

    def receive(self, queue: str, hide_seconds: int) -> list[DeadLetter]: ...
    def release(self, letters: Sequence[DeadLetter]) -> None: ...
    def send_again(self, letters: Sequence[DeadLetter]) -> dict[str, str]: ...
    def delete(self, letters: Sequence[DeadLetter]) -> dict[str, str]: ...


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a list. `receives` counts the tries and the looks since.

    `reason` says why the jobs can't be read, where they can't.
    """

    queue: str
    id: str
    kind: str
    jobs: int
    receives: int
    first_seen: float
    age_seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Detail:
    """One dead letter opened: its jobs, where they can be read."""

    letter: DeadLetter
    row: Row
    jobs: Sequence[Job]


@dataclass(slots=True)
class Retried:
    """What a retry did, or with `dry_run` would have done."""

    sent: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    left_in_both: dict[str, str] = field(default_factory=dict)
    """Sent, but not deleted: these will be retried once more if nobody looks."""

    def seen(self) -> set[str]:
        """The ids of all that were found."""
        return {*self.sent, *self.refused}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which dead letters are meant: all of these queues, or those with these ids."""

    queues: Sequence[str]
    ids: frozenset[str] = frozenset()

    def includes(self, letter: DeadLetter) -> bool:
        """Whether this one is meant."""
        return not self.ids or letter.id in self.ids


def rows(letters: DeadLetters, queues: Sequence[str], limit: int) -> list[Row]:
    """Up to `limit` dead letters of each queue, oldest first."""
    found: list[Row] = []
    for queue in queues:
        with looking(letters) as look:
            seen = []
            for letter in look.at(queue, HIDE_SECONDS):
                seen.append(letter)
                if len(seen) >= limit:
                    break
        found += [_open(letter).row for letter in seen]
    return sorted(found, key=lambda row: row.first_seen)


def detail(letters: DeadLetters, queues: Sequence[str], message_id: str) -> Detail | None:
    """One dead letter by its id, or None where no queue has it."""
    for queue in queues:
        with looking(letters) as look:
            for letter in look.at(queue, HIDE_SECONDS):
                if letter.id == message_id:
                    return _open(letter)
    return None


def each(letters: DeadLetters, queue: str) -> Iterator[Detail]:
    """Every dead letter of a queue that nobody else is looking at."""
    with looking(letters) as look:
        for letter in look.at(queue, RETRY_HIDE_SECONDS):
            yield _open(letter)


def retry(
    letters: DeadLetters,
    choice: Choice,
    *,
    dry_run: bool = False,
    per_second: float = 50.0,
    stop: threading.Event | None = None,
) -> Generator[Retried]:
    """Send the chosen ones to be tried again; yields what it has done after every batch.

    A letter that no worker can read is refused: it would only come back. Copies that do come back
    are left alone. Ends early when `stop` is set or the iterator is closed; nothing is lost by
    that.
    """
    stop = stop or threading.Event()
    began = time.time()
    done = Retried()
    for queue in choice.queues:
        with looking(letters) as look:
            for batch in look.batches(queue, RETRY_HIDE_SECONDS):
                if stop.is_set():
                    return
                if all(letter.sent_at >= began for letter in batch):
                    break  # nothing but what was sent again and has come back
                chosen = [
                    letter for letter in batch if choice.includes(letter) and letter.sent_at < began
                ]
                if chosen:
                    _retry_batch(look, chosen, done, dry_run=dry_run)
                    yield done
                    stop.wait(0 if dry_run else len(chosen) / per_second)
                if choice.ids and choice.ids <= done.seen():
                    return


def _retry_batch(
    look: "Look", chosen: Sequence[DeadLetter], done: Retried, *, dry_run: bool
) -> None:
    unreadable = {letter.id: reason for letter in chosen if (reason := _open(letter).row.reason)}
    done.refused |= unreadable
    readable = [letter for letter in chosen if letter.id not in unreadable]
    if dry_run:
        done.sent += [letter.id for letter in readable]
        return
    refused = look.letters.send_again(readable) if readable else {}
    done.refused |= refused
    accepted = [letter for letter in readable if letter.id not in refused]
    done.sent += [letter.id for letter in accepted]
    if not accepted:
        return
    try:
        left = look.letters.delete(accepted)
    except Transient as error:
        left = {letter.id: str(error) for letter in accepted}
    done.left_in_both |= left
    look.settled(letter for letter in accepted if letter.id not in left)


class Look:
    """What is hidden while an operator looks."""

    def __init__(self, letters: DeadLetters) -> None:
        self.letters = letters
        self._hidden: dict[str, DeadLetter] = {}

    def batches(self, queue: str, hide_seconds: int) -> Iterator[list[DeadLetter]]:
        """The messages of a queue as they are received, each once, until there are no more."""
        seen: set[str] = set()
        while received := self.letters.receive(queue, hide_seconds):
            self._hidden.update({letter.id: letter for letter in received})
            fresh = [letter for letter in received if letter.id not in seen]
            if not fresh:
                return
            seen.update(letter.id for letter in fresh)
            yield fresh

    def at(self, queue: str, hide_seconds: int) -> Iterator[DeadLetter]:
        """The same, one by one."""
        for batch in self.batches(queue, hide_seconds):
            yield from batch

    def settled(self, letters: Iterator[DeadLetter]) -> None:
        """Note messages that are not to be shown again."""
        for letter in letters:
            self._hidden.pop(letter.id, None)

    def show(self) -> None:
        """Show everything that is still hidden."""
        self.letters.release(list(self._hidden.values()))


@contextmanager
def looking(letters: DeadLetters) -> Iterator[Look]:
    look = Look(letters)
    try:
        yield look
    finally:
        look.show()


def _open(letter: DeadLetter) -> Detail:
    kind, reason = UNREADABLE, ""
    jobs: Sequence[Job] = ()
    try:
        opened = envelope.check(letter.body)
        kind = opened.task
        jobs = _decode(opened.args)
    except (envelope.Malformed, Malformed) as error:
        reason = str(error)
    row = Row(
        letter.queue,
        letter.id,
        kind,
        len(jobs),
        letter.receives,
        letter.sent_at,
        time.time() - letter.sent_at,
        reason,
    )
    return Detail(letter, row, jobs)


def _decode(args: Sequence[object]) -> Sequence[Job]:
    if len(args) != 1 or not isinstance(args[0], bytes):
        raise Malformed("the message does not carry one pack")
    return decode_pack(args[0])
