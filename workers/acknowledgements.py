"""Deletes messages that are done, in batches, off the event loop; a failed delete is seen.

A message stays under the heartbeat until SQS has confirmed its deletion, so that an outage of
DeleteMessage doesn't make a finished task run again.
"""

import logging
import time
from collections.abc import Callable, Sequence

from config.failpoints import Failpoint, reach
from workers.batches import Batches, Entry
from workers.sqs_requests import SqsClient, refused, send_batch
from workers.transport_observer import TransportObserver

logger = logging.getLogger(__name__)

GIVE_UP_SECONDS = 300.0
MAX_BACKLOG = 2_000
"""With more than this undeleted, no new message is asked for."""


class Acknowledgements:
    """Takes receipt handles, returns at once."""

    def __init__(
        self,
        client: Callable[[], SqsClient],
        observer: TransportObserver,
        *,
        deleted: Callable[[str], None],
        linger_seconds: float,
    ) -> None:
        self._client = client
        self._observer = observer
        self._deleted = deleted
        self._failing = False
        self._batches = Batches("sqs-deletes", self._send, linger_seconds)

    @property
    def is_behind(self) -> bool:
        """Tell whether deletes pile up."""
        return len(self._batches) > MAX_BACKLOG

    def put(self, queue: str, url: str, handle: str) -> None:
        """Delete this message soon."""
        self._batches.put([Entry(queue, url, handle)])

    def close(self, timeout: float) -> None:
        """Delete what is left; what can't be is counted as failed."""
        if left := self._batches.close(timeout):
            logger.error("%d finished messages were not deleted and will run once more", left)

    def _send(self, batch: Sequence[Entry]) -> Sequence[Entry]:
        queue, url = batch[0].queue, batch[0].url
        entries = [{"Id": str(i), "ReceiptHandle": e.handle} for i, e in enumerate(batch)]
        self._observer.request("DeleteMessageBatch")
        reach(Failpoint.WORKER_BEFORE_DELETE)
        failed = send_batch(self._client().delete_message_batch, url, entries, batch)
        self._log_change(queue, failed)
        failed_handles = {entry.handle for entry, _ in failed}
        done = [entry for entry in batch if entry.handle not in failed_handles]
        now = time.monotonic()
        lost = [e for e, code in failed if refused(code) or now - e.since > GIVE_UP_SECONDS]
        for entry in (*done, *lost):
            self._deleted(entry.handle)
        self._observer.deletes(queue, len(done), len(lost))
        if lost:
            logger.error(
                "queue %s: %d finished messages could not be deleted (%s) and will run once more",
                queue,
                len(lost),
                failed[0][1],
            )
        lost_handles = {entry.handle for entry in lost}
        return [entry for entry, _ in failed if entry.handle not in lost_handles]

    def _log_change(self, queue: str, failed: Sequence[tuple[Entry, str]]) -> None:
        if bool(failed) != self._failing:
            self._failing = bool(failed)
            if failed:
                logger.warning("queue %s: deleting fails: %s", queue, failed[0][1])
            else:
                logger.warning("queue %s: deleting again", queue)
