"""When each queue is asked for messages: the state of one queue's polling, on the event loop.

Whatever happens to a request, exactly one next step follows: at once, after a pause, or when a slot
is free. Knows neither HTTP nor what becomes of a message.
"""

import logging
import time
from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from kombu.asynchronous.hub import Hub

from workers.batches import jittered_backoff
from workers.receiving import Failed, Outcome, Received, Receiver
from workers.transport_observer import TransportObserver
from workers.transport_options import QueueOptions

logger = logging.getLogger(__name__)

PROBE_WAIT_SECONDS = 1
"""While SQS fails, ask in short polls, so that the heal is seen within two of them."""

EMPTY_ANSWER_SECONDS = 0.5
"""No two empty answers within this, in case a server does not wait."""

Messages = list[dict[str, Any]]


class _State(Enum):
    PARKED = auto()  # until a slot is free
    ASKING = auto()
    PAUSING = auto()
    STOPPED = auto()


class QueuePoll:
    """Polls one queue for ever, as fast as `wanted` allows and SQS answers."""

    def __init__(
        self,
        queue: QueueOptions,
        *,
        hub: Hub,
        receiver: Receiver,
        wait_seconds: int,
        grace_seconds: float,
        wanted: Callable[[], int],
        received: Callable[[str, Messages], None],
        observer: TransportObserver,
    ) -> None:
        self.queue = queue
        self._hub = hub
        self._receiver = receiver
        self._wait_seconds = wait_seconds
        self._grace_seconds = grace_seconds
        self._wanted = wanted
        self._received = received
        self._observer = observer
        self._state = _State.PARKED
        self._failures = 0
        self._failing_since = 0.0
        self._asked = 0
        self._asked_at = 0.0

    def resume(self) -> None:
        """Look again whether there is room: after an acknowledgement, or to begin."""
        if self._state is _State.PARKED:
            self._ask()

    def stop(self) -> None:
        """Ask no more; what is not here when its connection closes comes again later."""
        self._state = _State.STOPPED

    def _ask(self) -> None:
        self._asked = self._wanted()
        if self._asked <= 0:
            self._state = _State.PARKED
            return
        self._state = _State.ASKING
        self._asked_at = time.monotonic()
        wait = min(PROBE_WAIT_SECONDS, self._wait_seconds) if self._failures else self._wait_seconds
        try:
            self._observer.request("ReceiveMessage")
            self._receiver.receive(
                self.queue.url,
                self._asked,
                wait_seconds=wait,
                timeout_seconds=wait + self._grace_seconds,
                visibility_timeout=self.queue.visibility_timeout,
                done=self._answered,
            )
        except Exception as error:  # no credentials, a broken signer: try again later
            self._answered(Failed(type(error).__name__))

    def _answered(self, outcome: Outcome) -> None:
        # An exception here would end the event loop, and the worker with it.
        try:
            if isinstance(outcome, Failed):
                self._after(self._failed(outcome))
            else:
                self._succeeded(outcome)
        except Exception:
            logger.exception("queue %s: an answer could not be handled", self.queue.name)
            self._after(jittered_backoff(3))

    def _failed(self, outcome: Failed) -> float:
        if not self._failures:
            self._failing_since = time.monotonic()
            logger.warning("queue %s: receiving fails: %s", self.queue.name, outcome.code)
        self._failures += 1
        self._observer.receive_failed(self.queue.name, outcome.code)
        return jittered_backoff(self._failures)

    def _succeeded(self, outcome: Received) -> None:
        if self._failures:
            logger.warning(
                "queue %s: receiving again after %d failures in %.1f s",
                self.queue.name,
                self._failures,
                time.monotonic() - self._failing_since,
            )
            self._failures = 0
        count = len(outcome.messages)
        self._observer.receive_succeeded(self.queue.name, count, empty=not count)
        if count:
            self._received(self.queue.name, outcome.messages)
        if not count:
            spent = time.monotonic() - self._asked_at
            self._after(max(0.0, EMPTY_ANSWER_SECONDS - spent))
        elif count < self._asked:
            self._after(self.queue.receive_pause_seconds)
        else:
            self._after(0.0)

    def _after(self, seconds: float) -> None:
        if self._state is _State.STOPPED:
            return
        if seconds <= 0:
            self._ask()
            return
        self._state = _State.PAUSING
        self._hub.call_later(seconds, self._paused)

    def _paused(self) -> None:
        if self._state is _State.PAUSING:
            self._ask()
