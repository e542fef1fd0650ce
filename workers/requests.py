"""Celery's request, which brings what a pack failed for from the pool to the transport.

A task says it as the reason of its Reject, which crosses from a forked child like any outcome.
"""

from typing import Any

from billiard.einfo import ExceptionWithTraceback  # type: ignore[attr-defined]
from celery.exceptions import Reject
from celery.worker.request import Request

DOWN = "down"
"""Where a message's delivery info names the dependency that its pack met down."""


class PackRequest(Request):
    """Notes the dependency on the message before it is rejected."""

    def on_failure(
        self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False
    ) -> Any:
        """Celery's own handling, after the note."""
        error = exc_info.exception
        if isinstance(error, ExceptionWithTraceback):
            error = error.exc
        if isinstance(error, Reject) and (down := getattr(error, "reason", "")):
            self.message.delivery_info[DOWN] = str(down)
        return super().on_failure(exc_info, send_failed_event, return_ok)
