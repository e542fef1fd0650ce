"""What a consuming channel runs: a poll per queue, waiting messages, and threads talking to SQS.

On the event loop: receive, check, hand over when a slot is free. Off it: deletes and visibility.
Nothing in here may raise into the loop, which would end the worker and every task in it.
"""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from celery import current_app
from celery.signals import worker_shutting_down
from kombu.asynchronous.hub import Hub

from adapters.celery_envelope import Malformed
from workers.acknowledgements import Acknowledgements
from workers.bell import Bell
from workers.polling import Messages, QueuePoll
from workers.prefetch import Prefetch
from workers.probing import Prober, no_probe
from workers.receiving import Receiver, receive_count
from workers.requests import DOWN
from workers.setbacks import Setbacks
from workers.transport_options import TransportOptions
from workers.unwrapping import Payload, tag_of, unwrapped
from workers.visibility import Visibility, full_jitter

logger = logging.getLogger(__name__)

CLOSE_SECONDS = 5.0
LOOK_AGAIN_SECONDS = 0.5
QUICK_REDRIVES = 10
"""So often an unreadable message goes back at once, for the dead-letter queue to take it soon."""


class ConsumingChannel(Protocol):
    """What the intake needs of kombu's channel."""

    hub: Hub

    def sqs(self, queue: str | None = None) -> Any:
        """Give the process's SQS client."""

    def free_slots(self) -> int:
        """Say how many messages Celery takes now."""

    def callback(self, queue: str) -> Callable[[Payload], object] | None:
        """Give the consumer of this queue, if there is one."""

    def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Settle a delivered message as failed."""


class Intake:
    """What a consuming channel runs: polls, the waiting messages, and two talking threads."""

    def __init__(
        self,
        channel: ConsumingChannel,
        options: TransportOptions,
        *,
        renewed_client: Callable[[], Any],
    ) -> None:
        shortest = min(queue.visibility_timeout for queue in options.queues.values())
        self._channel = channel
        self._options = options
        self._stopping = False
        self._pumping = False
        self._looking_again = False
        self._polls: dict[str, QueuePoll] = {}
        self._waiting: Prefetch[Payload] = Prefetch(options.prefetch_seconds)
        self._begun: dict[str, Payload] = {}
        self._setbacks = Setbacks(self, options, Prober(options.probe or no_probe))
        self._receiver = Receiver(channel.sqs(), channel.hub, renewed_client)
        self.visibility = Visibility(
            channel.sqs,
            options.observer,
            limit_seconds=options.heartbeat_limit_seconds,
            tick_seconds=min(5.0, shortest / 6),
            stopping=self.stop,
        )
        self.acknowledgements = Acknowledgements(
            channel.sqs,
            options.observer,
            deleted=self.visibility.forget,
            linger_seconds=options.delete_linger_seconds,
        )
        self._bell = Bell(channel.hub)
        # Celery tells its consumer only when the loop turns, up to a second later.
        worker_shutting_down.connect(self._shutting_down, weak=False)

    def poll(self, queue: str) -> None:
        """Begin to ask this queue for messages."""
        if queue not in self._polls:
            self._polls[queue] = QueuePoll(
                self._options.queues[queue],
                hub=self._channel.hub,
                receiver=self._receiver,
                wait_seconds=self._options.wait_time_seconds,
                grace_seconds=self._options.receive_grace_seconds,
                wanted=partial(self._wanted, queue),
                received=self._received,
                observer=self._options.observer,
            )
        self._polls[queue].resume()

    def done(self, queue: str, tag: str) -> None:
        """Delete a message soon, and give Celery the next one."""
        self.acknowledgements.put(queue, self._options.queues[queue].url, tag)
        payload = self._begun.pop(tag, None)
        if payload is not None:
            self._setbacks.succeeded(queue, payload)
        self._slot_freed()

    def failed(self, queue: str, tag: str, *, at_once: bool) -> None:
        """See to a message that failed, and give Celery the next one."""
        payload = self._begun.pop(tag, None)
        if payload is not None:
            down = payload["properties"]["delivery_info"].pop(DOWN, "")
            self._setbacks.failed(queue, payload, down, at_once=at_once)
        self._slot_freed()

    # -- what Setbacks needs

    def give(self, queue: str, payload: Payload) -> None:
        """Let a message wait for a free slot."""
        self._waiting.add(queue, payload)

    def take_waiting(self, queue: str) -> list[Payload]:
        """Take what waits for a slot."""
        return self._waiting.take(queue)

    def release(self, payload: Payload, seconds: int) -> None:
        """Hand a message back to SQS."""
        self.visibility.release([tag_of(payload)], seconds)

    def go_on(self) -> None:
        """Look again for messages and for free slots."""
        self._pump()

    def soon(self, call: Callable[[], None]) -> None:
        """Make this call on the event loop; from any thread."""
        self._channel.hub.call_soon(call)
        self._bell.ring()

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Make this call after so many seconds."""
        self._channel.hub.call_later(seconds, call)

    # -- ending

    def stop(self) -> None:
        """Ask for no more and hand back what waits; from any thread."""
        self._stopping = True
        for poll in self._polls.values():
            poll.stop()
        kept = self._setbacks.stop()
        self.visibility.release([tag_of(p) for p in kept])
        self.visibility.release([tag_of(p) for _, p in self._waiting.drain()])
        # Wakes the loop, which otherwise notices the signal at its next event.
        self._bell.ring()

    def disconnect(self) -> None:
        """End the long polls, so that SQS gives them nothing more; on the loop's thread."""
        self._receiver.close()

    def close(self) -> None:
        """Send what waits to be sent, and end the threads."""
        worker_shutting_down.disconnect(self._shutting_down)
        self.stop()
        self.disconnect()
        self._bell.close()
        self.acknowledgements.close(CLOSE_SECONDS)
        self.visibility.close(CLOSE_SECONDS)

    def _shutting_down(self, **_: Any) -> None:
        self.visibility.stop_soon()  # we are in a signal handler here

    def _slot_freed(self) -> None:
        # Now: a later call would wait for the loop's next event.
        self._waiting.finished()
        self._pump()

    def _wanted(self, queue: str) -> int:
        if self._stopping:
            return 0
        if self.acknowledgements.is_behind:
            # No slot will be freed to tell that deleting has caught up.
            if not self._looking_again:
                self._looking_again = True
                self._channel.hub.call_later(LOOK_AGAIN_SECONDS, self._look_again)
            return 0
        return self._setbacks.room(queue, self._waiting.wanted(self._channel.free_slots()))

    def _look_again(self) -> None:
        self._looking_again = False
        self._pump()

    def _received(self, queue: str, messages: Messages) -> None:
        for message in messages:
            handle = str(message["ReceiptHandle"])
            self.visibility.hold(self._options.queues[queue], handle)
            payload = self._payload(queue, handle, message)
            if payload is not None and self._setbacks.admit(queue, payload):
                self._waiting.add(queue, payload)
        if self._stopping:
            self.stop()  # came between the signal and the end of its poll
        else:
            self._pump()

    def _payload(self, queue: str, handle: str, message: dict[str, Any]) -> Payload | None:
        known = self._options.known_tasks
        try:
            # Celery would print the body of a task that it does not know.
            return unwrapped(
                message, self._options.queues[queue], known() if known else current_app.tasks
            )
        except Malformed as error:
            self._refuse(queue, handle, message, error)
            return None

    def _refuse(
        self, queue: str, handle: str, message: Mapping[str, Any], error: Malformed
    ) -> None:
        count = receive_count(message)
        self._options.observer.message_rejected(queue, error.reason)
        logger.warning(
            "queue %s: message %s (receive %d) is no task: %s",
            queue,
            message.get("MessageId"),
            count,
            error,
        )
        row = self._options.queues[queue]
        later = full_jitter(
            count - QUICK_REDRIVES, row.backoff_base_seconds, row.backoff_cap_seconds
        )
        self.visibility.release([handle], 0 if count <= QUICK_REDRIVES else later)

    def _pump(self) -> None:
        if self._pumping or self._stopping:
            return
        self._pumping = True
        try:
            while self._channel.free_slots() > 0 and (item := self._waiting.next()) is not None:
                self._deliver(*item)
        finally:
            self._pumping = False
        for poll in self._polls.values():
            poll.resume()

    def _deliver(self, queue: str, payload: Payload) -> None:
        tag = tag_of(payload)
        callback = self._channel.callback(queue)
        if callback is None:
            self._setbacks.dropped(queue, payload)
            self.visibility.release([tag])
            return
        self._begun[tag] = payload
        try:
            callback(payload)
        except Exception:
            # The last net: what gets here would end the worker and every task in it.
            logger.exception("queue %s: Celery refused a message", queue)
            self._setbacks.dropped(queue, payload)
            self._channel.basic_reject(tag)
            if self._begun.pop(tag, None) is not None:
                self.visibility.release([tag])  # it had not even become a message
