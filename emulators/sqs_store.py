"""All queues by name, and every change to them as a record.

A change is journalled first and applied after, by the same code that replays a journal at start:
what was acknowledged is what a restart finds. In-flight states are forgotten on restart, receive
counts are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from emulators import sqs_attributes, sqs_errors
from emulators.sqs_queue import Message, MessageQueue, Taken

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from emulators.journal import Journal
    from emulators.wire import Clock

SNAPSHOT_CHUNK = 500


class QueueCreated(msgspec.Struct, array_like=True, tag="create"):
    name: str
    attributes: dict[str, str]
    tags: dict[str, str]
    created_at: float
    modified_at: float


class QueueDeleted(msgspec.Struct, array_like=True, tag="delete"):
    name: str


class AttributesChanged(msgspec.Struct, array_like=True, tag="attributes"):
    name: str
    attributes: dict[str, str]
    at: float


class TagsChanged(msgspec.Struct, array_like=True, tag="tags"):
    name: str
    tags: dict[str, str]


class Purged(msgspec.Struct, array_like=True, tag="purge"):
    name: str


class Added(msgspec.Struct, array_like=True, tag="add"):
    name: str
    messages: list[Message]


class Removed(msgspec.Struct, array_like=True, tag="remove"):
    name: str
    keys: list[str]


class Received(msgspec.Struct, array_like=True, tag="receive"):
    name: str
    keys: list[str]
    at: float


Record = (
    QueueCreated
    | QueueDeleted
    | AttributesChanged
    | TagsChanged
    | Purged
    | Added
    | Removed
    | Received
)


class Queue:
    """One queue: its attributes as given, its settings as read, its messages."""

    def __init__(self, record: QueueCreated, arn: str, clock: Clock) -> None:
        self.name = record.name
        self.arn = arn
        self.tags = record.tags
        self.created_at = record.created_at
        self.modified_at = record.modified_at
        self.attributes: dict[str, str] = {}
        self.settings = sqs_attributes.settings({})
        self.messages = MessageQueue(clock, self.settings.retention_seconds)
        self.set_attributes(record.attributes, record.modified_at)

    def set_attributes(self, attributes: dict[str, str], at: float) -> None:
        self.attributes = attributes
        self.settings = sqs_attributes.settings(attributes)
        self.messages.retention_seconds = self.settings.retention_seconds
        self.modified_at = at


class QueueStore:
    def __init__(self, account: str, region: str, clock: Clock, journal: Journal | None) -> None:
        self.clock = clock
        self._arn_prefix = f"arn:aws:sqs:{region}:{account}:"
        self._queues: dict[str, Queue] = {}
        self._journal = journal
        self._encoder = msgspec.msgpack.Encoder()
        if journal is not None:
            self._replay(journal)

    def _replay(self, journal: Journal) -> None:
        decoder = msgspec.msgpack.Decoder(list[Record])
        for payload in journal.replay():
            for record in decoder.decode(payload):
                self._apply(record, replaying=True)

    # --- reading ---

    def __iter__(self) -> Iterator[Queue]:
        return iter(self._queues.values())

    def get(self, name: str) -> Queue | None:
        return self._queues.get(name)

    def arn(self, name: str) -> str:
        return self._arn_prefix + name

    def by_arn(self, arn: str) -> Queue | None:
        return self._queues.get(arn.removeprefix(self._arn_prefix))

    def sources_of(self, arn: str) -> list[Queue]:
        return [
            queue
            for queue in self._queues.values()
            if (policy := queue.settings.redrive) and policy.dead_letter_target_arn == arn
        ]

    # --- changing ---

    def commit(self, *records: Record) -> None:
        """Journal the records as one, then apply them. Raises JournalError, applying nothing."""
        self._record(records)
        for record in records:
            self._apply(record)
        self._compact_when_due()

    def _record(self, records: Iterable[Record]) -> None:
        if self._journal is not None:
            self._journal.append(self._encoder.encode(list(records)))

    def send(self, queue: Queue, messages: list[Message]) -> None:
        self.commit(Added(queue.name, messages))

    def remove(self, queue: Queue, keys: list[str]) -> None:
        self.commit(Removed(queue.name, keys))

    def take(
        self, queue: Queue, limit: int, visibility_seconds: float
    ) -> tuple[Taken, Queue | None]:
        """Receive; messages received too often go to the dead-letter queue, which is returned."""
        policy = queue.settings.redrive
        dead_letters = self.by_arn(policy.dead_letter_target_arn) if policy else None
        max_receives = policy.max_receive_count if policy and dead_letters else None
        taken = queue.messages.take(limit, visibility_seconds, max_receives)
        if taken.dead and dead_letters is not None:
            self._bury(queue, dead_letters, taken.dead)
        if taken.delivered and self._journal is not None:
            keys = [message.key for message in taken.delivered]
            self.commit_recorded(Received(queue.name, keys, taken.delivered[0].received_at))
        return taken, dead_letters if taken.dead else None

    def commit_recorded(self, record: Record) -> None:
        """Journal what memory already holds."""
        self._record([record])
        self._compact_when_due()

    def _bury(self, queue: Queue, dead_letters: Queue, messages: list[Message]) -> None:
        # the enqueue time stays the original one: retention in the dead-letter queue counts from it
        moved = [
            msgspec.structs.replace(
                message,
                source_arn=queue.arn,
                receive_count=0,
                first_received_at=0.0,
                due_at=0.0,
            )
            for message in messages
        ]
        keys = [message.key for message in messages]
        self.commit(Removed(queue.name, keys), Added(dead_letters.name, moved))

    # --- records ---

    def _apply(self, record: Record, *, replaying: bool = False) -> None:
        if isinstance(record, QueueCreated):
            self._queues[record.name] = Queue(record, self.arn(record.name), self.clock)
            return
        queue = self._queues.get(record.name)
        if queue is None:
            return
        if isinstance(record, Added):
            self._apply_added(queue, record, replaying=replaying)
        elif isinstance(record, Removed):
            for key in record.keys:
                queue.messages.remove(key)
        elif isinstance(record, Received):
            for key in record.keys:
                queue.messages.count_receive(key, record.at)
        else:
            self._apply_rare(queue, record)

    @staticmethod
    def _apply_added(queue: Queue, record: Added, *, replaying: bool) -> None:
        now = queue.messages.settle()
        for message in record.messages:
            if replaying:
                queue.messages.restore(message)
            else:
                queue.messages.add(message, max(0.0, message.due_at - now))

    def _apply_rare(
        self, queue: Queue, record: QueueDeleted | AttributesChanged | TagsChanged | Purged
    ) -> None:
        if isinstance(record, QueueDeleted):
            del self._queues[record.name]
        elif isinstance(record, AttributesChanged):
            queue.set_attributes(record.attributes, record.at)
        elif isinstance(record, TagsChanged):
            queue.tags = record.tags
        else:
            queue.messages.clear()

    def _compact_when_due(self) -> None:
        if self._journal is not None and self._journal.wants_compaction:
            self.compact()

    def compact(self) -> None:
        if self._journal is not None:
            self._journal.compact(self._snapshot())

    def _snapshot(self) -> Iterator[bytes]:
        for queue in self._queues.values():
            queue.messages.settle()
            head: list[Record] = [
                QueueCreated(
                    queue.name, queue.attributes, queue.tags, queue.created_at, queue.modified_at
                )
            ]
            yield self._encoder.encode(head)
            messages = list(queue.messages)
            for start in range(0, len(messages), SNAPSHOT_CHUNK):
                chunk: list[Record] = [Added(queue.name, messages[start : start + SNAPSHOT_CHUNK])]
                yield self._encoder.encode(chunk)

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()


def check_dead_letter_target(store: QueueStore, name: str, attributes: dict[str, str]) -> None:
    """A redrive policy must name an existing queue that allows this source."""
    policy = sqs_attributes.settings(attributes).redrive
    if policy is None:
        return
    text = attributes["RedrivePolicy"]
    target = store.by_arn(policy.dead_letter_target_arn)
    if target is None:
        raise sqs_errors.invalid_value(text, "RedrivePolicy", "Dead letter target does not exist.")
    if not target.settings.allow.allows(store.arn(name)):
        raise sqs_errors.invalid_value(
            text, "RedrivePolicy", "The dead letter target's redrive allow policy denies it."
        )
