"""What the transport tells whoever counts: the seam to metrics and liveness.

Called from the event loop and from the transport's own threads: an implementation must be
thread-safe, quick, and must not raise.
"""

from typing import Protocol


class TransportObserver(Protocol):
    """What is built on it: `last_receive_age_seconds{queue}`, `sqs_requests_total{action}`."""

    def receive_succeeded(self, queue: str, messages: int, *, empty: bool) -> None:
        """Record that a ReceiveMessage was answered, with or without messages."""

    def receive_failed(self, queue: str, code: str) -> None:
        """Record that a ReceiveMessage failed; `code` is AWS's, or curl's in our words."""

    def message_rejected(self, queue: str, reason: str) -> None:
        """Record a message that never became a task; `reason` is one of `envelope.Reason`."""

    def deletes(self, queue: str, ok: int, failed: int) -> None:
        """Record messages deleted, and given up on (they will run once more)."""

    def heartbeat(self, queue: str, messages: int, failed: int) -> None:
        """Record messages whose invisibility was prolonged, and those where that failed."""

    def request(self, action: str) -> None:
        """Record one request to SQS."""

    def put_off(self, queue: str, seconds: float) -> None:
        """Record a retry that comes so much later than its backoff, for the retry budget."""

    def paused(self, queue: str, *, dependency: str) -> None:
        """Record that the queue is left alone while this dependency is down."""

    def resumed(self, queue: str) -> None:
        """Record that the queue is asked again."""


class SilentObserver:
    """Counts nothing."""

    def receive_succeeded(self, queue: str, messages: int, *, empty: bool) -> None: ...
    def receive_failed(self, queue: str, code: str) -> None: ...
    def message_rejected(self, queue: str, reason: str) -> None: ...
    def deletes(self, queue: str, ok: int, failed: int) -> None: ...
    def heartbeat(self, queue: str, messages: int, failed: int) -> None: ...
    def request(self, action: str) -> None: ...
    def put_off(self, queue: str, seconds: float) -> None: ...
    def paused(self, queue: str, *, dependency: str) -> None: ...
    def resumed(self, queue: str) -> None: ...
