"""The messages of one standard queue: visible, delayed, in flight, expired.

Pure state machine over a clock it is given; no I/O, no names, no policies. Every operation is O(1)
or O(log n) amortised: heaps drop stale entries lazily and are rebuilt when mostly stale.
"""

from __future__ import annotations

import heapq
import itertools
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

import msgspec

from emulators import sqs_errors

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from emulators.wire import Clock

MAX_IN_FLIGHT = 120_000
HEAP_SLACK = 256


class State(IntEnum):
    DELAYED = 0
    VISIBLE = 1
    IN_FLIGHT = 2
    GONE = 3


class AttributeValue(msgspec.Struct, rename="pascal", omit_defaults=True):
    data_type: str
    string_value: str | None = None
    binary_value: bytes | None = None


class Message(msgspec.Struct, array_like=True):
    """`key` tells a repeated copy from its original: they share `message_id`."""

    key: str
    message_id: str
    body: str
    body_md5: str
    sent_at: float
    attributes: dict[str, AttributeValue] = {}
    attributes_md5: str = ""
    trace_header: str = ""
    group_id: str = ""
    source_arn: str = ""
    receive_count: int = 0
    first_received_at: float = 0.0
    received_at: float = 0.0
    due_at: float = 0.0
    state: State = State.GONE


@dataclass(slots=True)
class Taken:
    delivered: list[Message] = field(default_factory=list)
    dead: list[Message] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Counts:
    visible: int
    in_flight: int
    delayed: int


Timer = tuple[float, int, Message]


class MessageQueue:
    def __init__(self, clock: Clock, retention_seconds: float) -> None:
        self.retention_seconds = retention_seconds
        self._clock = clock
        self._messages: dict[str, Message] = {}
        self._visible: OrderedDict[str, Message] = OrderedDict()
        self._in_flight = 0
        self._due: list[Timer] = []
        self._by_age: list[Timer] = []
        self._ticket = itertools.count()

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[Message]:
        return iter(self._messages.values())

    # --- time ---

    def settle(self) -> float:
        """Bring the queue up to the clock: what is due becomes visible, what is old goes."""
        now = self._clock()
        while self._due and self._due[0][0] <= now:
            due_at, _, message = heapq.heappop(self._due)
            if self._waits_until(message, due_at):
                self._show(message)
        self._expire(now - self.retention_seconds)
        return now

    @staticmethod
    def _waits_until(message: Message, due_at: float) -> bool:
        waiting = message.state is State.DELAYED or message.state is State.IN_FLIGHT
        return waiting and message.due_at == due_at

    def _expire(self, sent_before: float) -> None:
        while self._by_age:
            sent_at, _, message = self._by_age[0]
            if message.state is not State.GONE and sent_at > sent_before:
                return
            heapq.heappop(self._by_age)
            if message.state is not State.GONE:
                self._forget(message)

    def next_due(self) -> float | None:
        """When a hidden message may next become visible, or None when none is hidden."""
        while self._due and not self._waits_until(self._due[0][2], self._due[0][0]):
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    # --- operations ---

    def add(self, message: Message, delay_seconds: float = 0.0) -> None:
        now = self._clock()
        message.due_at = now + delay_seconds
        self._messages[message.key] = message
        heapq.heappush(self._by_age, (message.sent_at, next(self._ticket), message))
        if delay_seconds > 0:
            self._hide(message, State.DELAYED)
        else:
            self._show(message)

    def restore(self, message: Message) -> None:
        """Take back a message read from a journal; what was in flight is visible again."""
        never_received = message.receive_count == 0
        delay = max(0.0, message.due_at - self._clock()) if never_received else 0.0
        self.add(message, delay)

    def take(self, limit: int, visibility_seconds: float, max_receives: int | None) -> Taken:
        """Receive up to `limit` messages; those received too often already leave as `dead`."""
        now = self.settle()
        if self._in_flight >= MAX_IN_FLIGHT:
            raise sqs_errors.over_limit(self._in_flight)
        taken = Taken()
        while self._visible and len(taken.delivered) < limit:
            _, message = self._visible.popitem(last=False)
            if max_receives is not None and message.receive_count >= max_receives:
                self._forget(message)
                taken.dead.append(message)
            else:
                taken.delivered.append(message)
        for message in taken.delivered:
            self._count_receive(message, now)
            self._set_visibility(message, now + visibility_seconds, now)
        return taken

    def count_receive(self, key: str, at: float) -> None:
        """Repeat a receive read from a journal; the message stays visible."""
        if (message := self._messages.get(key)) is not None:
            self._count_receive(message, at)

    @staticmethod
    def _count_receive(message: Message, at: float) -> None:
        message.receive_count += 1
        message.received_at = at
        message.first_received_at = message.first_received_at or at

    def find(self, key: str) -> Message | None:
        return self._messages.get(key)

    def remove(self, key: str) -> Message | None:
        message = self._messages.get(key)
        if message is not None:
            self._forget(message)
        return message

    def change_visibility(self, message: Message, seconds: float) -> None:
        now = self.settle()
        if message.state is State.IN_FLIGHT:
            self._in_flight -= 1
            self._set_visibility(message, now + seconds, now)

    def shuffle_head(self, window: int, rng: random.Random) -> None:
        self.settle()
        head = [self._visible.popitem(last=False) for _ in range(min(window, len(self._visible)))]
        rng.shuffle(head)
        for key, message in head:
            self._visible[key] = message
            self._visible.move_to_end(key, last=False)

    def clear(self) -> None:
        for message in self._messages.values():
            message.state = State.GONE
        self._messages.clear()
        self._visible.clear()
        self._due.clear()
        self._by_age.clear()
        self._in_flight = 0

    def head(self, limit: int) -> list[Message]:
        self.settle()
        return list(itertools.islice(self._visible.values(), limit))

    def counts(self) -> Counts:
        self.settle()
        hidden = len(self._messages) - len(self._visible)
        return Counts(len(self._visible), self._in_flight, hidden - self._in_flight)

    def has_visible(self) -> bool:
        self.settle()
        return bool(self._visible)

    # --- states ---

    def _set_visibility(self, message: Message, due_at: float, now: float) -> None:
        message.due_at = due_at
        if due_at > now:
            self._in_flight += 1
            self._hide(message, State.IN_FLIGHT)
        else:
            message.state = State.GONE
            self._show(message)

    def _hide(self, message: Message, state: State) -> None:
        message.state = state
        heapq.heappush(self._due, (message.due_at, next(self._ticket), message))
        self._tidy()

    def _show(self, message: Message) -> None:
        if message.state is State.IN_FLIGHT:
            self._in_flight -= 1
        message.state = State.VISIBLE
        self._visible[message.key] = message

    def _forget(self, message: Message) -> None:
        if message.state is State.IN_FLIGHT:
            self._in_flight -= 1
        message.state = State.GONE
        self._visible.pop(message.key, None)
        self._messages.pop(message.key, None)
        self._tidy()

    def _tidy(self) -> None:
        """Heaps hold entries for what is gone; rebuild once those are the majority."""
        bound = 2 * len(self._messages) + HEAP_SLACK
        if len(self._due) > bound:
            self._due = [t for t in self._due if self._waits_until(t[2], t[0])]
            heapq.heapify(self._due)
        if len(self._by_age) > bound:
            self._by_age = [t for t in self._by_age if t[2].state is not State.GONE]
            heapq.heapify(self._by_age)
