"""What becomes of messages that failed, and of a queue whose jobs need something that is down.

A message that failed goes back to SQS with its backoff, within the retry budget. While its queue is
paused nothing of it is begun, and what waited goes back unhurried, for workers that reach the
dependency. A message that met a dependency down at the last receive it is allowed stays here,
invisible to others, until the dependency answers: an outage makes no dead letters. Where others of
its queue succeed meanwhile, the fault is its own, and it goes the way of the others. Runs on the
event loop; only the prober has threads.
"""

import logging
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from workers.pausing import Pause, PauseRules, State
from workers.retry_budget import RetryBudget
from workers.transport_options import QueueOptions, TransportOptions
from workers.unwrapping import Payload, kind_of, receives_of, tag_of
from workers.visibility import full_jitter

logger = logging.getLogger(__name__)

NEVER = PauseRules(after_failures=2**31, base_seconds=1.0, cap_seconds=1.0)
STRIKES = 3
"""So often a message may meet a dependency down while others of its queue succeed."""


class Holder(Protocol):
    """What is needed of whoever has the messages."""

    def give(self, queue: str, payload: Payload) -> None:
        """Let it wait for a free slot."""

    def take_waiting(self, queue: str) -> list[Payload]:
        """Take what waits for a slot."""

    def release(self, payload: Payload, seconds: int) -> None:
        """Hand it back to SQS, to be received again after so many seconds."""

    def go_on(self) -> None:
        """Look again for messages and for free slots."""

    def soon(self, call: Callable[[], None]) -> None:
        """Make this call on the event loop; from any thread."""

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Make this call after so many seconds."""


class Watch(Protocol):
    """See `workers/probing.py`."""

    def watch(
        self,
        dependencies: Sequence[str],
        wait_seconds: Callable[[], float],
        answered: Callable[[], None],
    ) -> None: ...
    def stop(self) -> None: ...


@dataclass(slots=True)
class _Chances:
    """How often a message was kept although others succeeded, of which so many had by then."""

    succeeded: int
    strikes: int = 0


@dataclass(slots=True)
class _Queue:
    options: QueueOptions
    budget: RetryBudget
    pause: Pause
    kept: deque[Payload] = field(default_factory=deque)
    chances: dict[str, _Chances] = field(default_factory=dict)
    """Of each message that was kept, by its receipt."""
    succeeded: int = 0
    tried: str = ""
    """The receipt of the one message that a trial allows, while it is here."""

    @property
    def down(self) -> str:
        """What it paused for, in words."""
        return " or ".join(self.pause.dependencies)

    def tries_no_more(self, payload: Payload) -> None:
        """Note that this one is not begun, or done; one from before the pause ends no trial."""
        if self.tried == tag_of(payload):
            self.tried = ""


class Setbacks:
    """All queues of a worker."""

    def __init__(self, holder: Holder, options: TransportOptions, prober: Watch) -> None:
        rules = options.pausing or NEVER
        self._holder = holder
        self._observer = options.observer
        self._stopping = False
        self._prober = prober
        self._queues: Mapping[str, _Queue] = {
            name: _Queue(row, RetryBudget(options.retry_budget, options.retry_burst), Pause(rules))
            for name, row in options.queues.items()
        }

    def room(self, name: str, wanted: int) -> int:
        """How many messages to ask for where so many are wanted."""
        queue = self._queues[name]
        if queue.pause.state is State.RUNNING:
            return wanted
        return min(1, wanted) if self._admits(queue) else 0

    def admit(self, name: str, payload: Payload) -> bool:
        """Whether a message that was received may wait for a slot; what may not is seen to."""
        queue = self._queues[name]
        if receives_of(payload) == 1:
            queue.budget.first_attempt()
        if not self._admits(queue):
            self._set_aside(queue, payload)
            return False
        if queue.pause.state is State.TRYING:
            queue.tried = tag_of(payload)
        return True

    def failed(self, name: str, payload: Payload, down: str, *, at_once: bool = False) -> None:
        """See to a message whose task failed; `down` is the dependency that it met down, if so.

        One whose process was lost goes back `at_once`.
        """
        queue = self._queues[name]
        queue.tries_no_more(payload)
        if at_once:
            self._holder.release(payload, 0)
        elif not down:
            self._hand_back(queue, payload)
        if not down:
            self._ended(queue, payload)
            return
        pauses = queue.pause.failed(kind_of(payload), down)
        if self._is_kept(queue, payload):
            self._keep(queue, payload)
        else:
            self._hand_back(queue, payload)
        if pauses:
            self._pause(queue)

    def succeeded(self, name: str, payload: Payload) -> None:
        """Note a message whose task is done."""
        queue = self._queues[name]
        queue.tries_no_more(payload)
        queue.succeeded += 1
        queue.chances.pop(tag_of(payload), None)
        self._ended(queue, payload)

    def dropped(self, name: str, payload: Payload) -> None:
        """Note a message that was never begun and is gone."""
        self._queues[name].tries_no_more(payload)

    def stop(self) -> list[Payload]:
        """Keep nothing any more; what was kept. From any thread."""
        self._stopping = True
        self._prober.stop()
        kept: list[Payload] = []
        for queue in self._queues.values():
            with suppress(IndexError):  # the loop may take from it, too
                while True:
                    kept.append(queue.kept.popleft())
        return kept

    # -- pausing

    def _pause(self, queue: _Queue) -> None:
        name = queue.options.name
        logger.warning("queue %s: left alone, because %s is down", name, queue.down)
        self._observer.paused(name, dependency=queue.down)
        for payload in self._holder.take_waiting(name):
            self._set_aside(queue, payload)
        self._prober.watch(
            queue.pause.dependencies,
            queue.pause.wait_seconds,
            lambda: self._holder.soon(lambda: self._answered(queue)),
        )

    def _answered(self, queue: _Queue) -> None:
        queue.pause.answered()
        if self._stopping or queue.pause.state is not State.TRYING:
            return
        logger.warning("queue %s: %s answers, trying", queue.options.name, queue.down)
        self._observer.resumed(queue.options.name)
        queue.tried = ""
        self._try_kept(queue)
        self._holder.go_on()

    def _ended(self, queue: _Queue, payload: Payload) -> None:
        was_paused = queue.pause.state is State.PAUSED
        if queue.pause.ended(kind_of(payload)):
            queue.tried = ""
            logger.warning("queue %s: goes on, %s is back", queue.options.name, queue.down)
            if was_paused:
                self._observer.resumed(queue.options.name)
            self._give_kept(queue, len(queue.kept))
        elif queue.pause.state is State.TRYING:
            self._try_kept(queue)

    def _admits(self, queue: _Queue) -> bool:
        if queue.pause.state is State.TRYING:
            return not queue.tried
        return queue.pause.state is State.RUNNING

    # -- single messages

    def _hand_back(self, queue: _Queue, payload: Payload) -> None:
        row = queue.options
        queue.chances.pop(tag_of(payload), None)
        backoff = full_jitter(
            receives_of(payload), row.backoff_base_seconds, row.backoff_cap_seconds
        )
        extra = queue.budget.extra_seconds(row.backoff_cap_seconds)
        if extra:
            self._observer.put_off(row.name, extra)
        self._holder.release(payload, round(backoff + extra))

    def _set_aside(self, queue: _Queue, payload: Payload) -> None:
        """See to one that was not begun: by then, other workers know of the outage, too."""
        if self._is_last_receive(queue, payload) and not self._stopping:
            queue.kept.append(payload)
            return
        rules = queue.pause.rules
        seconds = random.uniform(rules.base_seconds, rules.cap_seconds)
        self._holder.release(payload, max(1, round(seconds)))

    def _is_kept(self, queue: _Queue, payload: Payload) -> bool:
        """Whether one that met a dependency down would be a dead letter for that alone."""
        if self._stopping or not self._is_last_receive(queue, payload):
            return False
        chances = queue.chances.setdefault(tag_of(payload), _Chances(queue.succeeded))
        chances.strikes += queue.succeeded > chances.succeeded
        chances.succeeded = queue.succeeded
        return chances.strikes < STRIKES

    def _keep(self, queue: _Queue, payload: Payload) -> None:
        queue.kept.append(payload)
        if queue.pause.state is State.RUNNING:
            row = queue.options
            seconds = full_jitter(1, row.backoff_base_seconds, row.backoff_cap_seconds)
            self._holder.later(seconds, lambda: self._again(queue))

    def _again(self, queue: _Queue) -> None:
        if queue.pause.state is State.RUNNING:
            self._give_kept(queue, len(queue.kept))
            self._holder.go_on()

    def _try_kept(self, queue: _Queue) -> None:
        """Let one that was kept be the trial, where there is one and none is under way."""
        if queue.tried:
            return
        with suppress(IndexError):  # nothing is kept
            payload = queue.kept.popleft()
            queue.tried = tag_of(payload)
            self._holder.give(queue.options.name, payload)

    def _give_kept(self, queue: _Queue, count: int) -> None:
        with suppress(IndexError):  # stopping takes from it, too
            for _ in range(count):
                self._holder.give(queue.options.name, queue.kept.popleft())

    @staticmethod
    def _is_last_receive(queue: _Queue, payload: Payload) -> bool:
        return 0 < queue.options.max_receives <= receives_of(payload)
