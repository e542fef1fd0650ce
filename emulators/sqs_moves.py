"""Message move tasks: a dead-letter queue is emptied back to its sources, or elsewhere, at a rate.

Moved messages are new ones: new id, new enqueue time. Tasks end with the process.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import uuid
from typing import TYPE_CHECKING, Any

import msgspec

from emulators import sqs_errors
from emulators.journal import JournalError
from emulators.sqs_store import Added, Queue, QueueStore, Removed
from emulators.wire import ApiError, Call

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulators.sqs_polling import Polling
    from emulators.sqs_queue import Message

log = logging.getLogger(__name__)

MAX_RATE = 500
MAX_LISTED = 10
TICK_SECONDS = 0.02


class StartMove(msgspec.Struct, rename="pascal"):
    source_arn: str
    destination_arn: str | None = None
    max_number_of_messages_per_second: int | None = None


class ListMoves(msgspec.Struct, rename="pascal"):
    source_arn: str
    max_results: int | None = None


class CancelMove(msgspec.Struct, rename="pascal"):
    task_handle: str


class Started(msgspec.Struct):
    TaskHandle: str


class Cancelled(msgspec.Struct):
    ApproximateNumberOfMessagesMoved: int


class MoveView(msgspec.Struct, omit_defaults=True):
    Status: str
    SourceArn: str
    ApproximateNumberOfMessagesMoved: int
    ApproximateNumberOfMessagesToMove: int
    StartedTimestamp: int
    TaskHandle: str = ""
    DestinationArn: str | None = None
    MaxNumberOfMessagesPerSecond: int | None = None
    FailureReason: str = ""


class MoveViews(msgspec.Struct):
    Results: list[MoveView]


class Move(msgspec.Struct):
    """One task and how far it has come."""

    handle: str
    source: str
    request: StartMove
    to_move: int
    started_at: float
    moved: int = 0
    status: str = "RUNNING"
    failure: str = ""

    def view(self) -> MoveView:
        return MoveView(
            Status=self.status,
            SourceArn=self.request.source_arn,
            ApproximateNumberOfMessagesMoved=self.moved,
            ApproximateNumberOfMessagesToMove=self.to_move,
            StartedTimestamp=int(self.started_at * 1000),
            TaskHandle=self.handle if self.status == "RUNNING" else "",
            DestinationArn=self.request.destination_arn,
            MaxNumberOfMessagesPerSecond=self.request.max_number_of_messages_per_second,
            FailureReason=self.failure,
        )


class Moves:
    def __init__(self, store: QueueStore, polling: Polling) -> None:
        self._store = store
        self._polling = polling
        self._moves: list[Move] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def actions(self) -> dict[str, tuple[type, Callable[[Any, Call], object]]]:
        return {
            "StartMessageMoveTask": (StartMove, self.start),
            "ListMessageMoveTasks": (ListMoves, self.list_moves),
            "CancelMessageMoveTask": (CancelMove, self.cancel),
        }

    def start(self, request: StartMove, call: Call) -> Started:
        del call
        source = self._queue(request.source_arn, "SourceArn")
        if request.destination_arn is not None:
            self._queue(request.destination_arn, "DestinationArn")
        rate = request.max_number_of_messages_per_second
        if rate is not None and not 1 <= rate <= MAX_RATE:
            raise sqs_errors.invalid_value(
                rate, "MaxNumberOfMessagesPerSecond", f"Must be between 1 and {MAX_RATE}."
            )
        self._check_startable(source)
        move = Move(
            handle=_handle(source.arn),
            source=source.name,
            request=request,
            to_move=source.messages.counts().visible,
            started_at=self._store.clock(),
        )
        self._moves.append(move)
        self._run(move)
        return Started(move.handle)

    def _check_startable(self, source: Queue) -> None:
        if not self._store.sources_of(source.arn):
            raise sqs_errors.invalid_parameters(
                "Source queue must be configured as a Dead Letter Queue."
            )
        if any(m.source == source.name and m.status == "RUNNING" for m in self._moves):
            raise sqs_errors.unsupported(
                "There is already a task running. Only one active task is allowed for a source "
                "queue arn at a given time."
            )

    def list_moves(self, request: ListMoves, call: Call) -> MoveViews:
        del call
        limit = 1 if request.max_results is None else request.max_results
        if not 1 <= limit <= MAX_LISTED:
            reason = f"Must be between 1 and {MAX_LISTED}."
            raise sqs_errors.invalid_value(limit, "MaxResults", reason)
        source = self._queue(request.source_arn, "SourceArn")
        newest = [m.view() for m in reversed(self._moves) if m.source == source.name]
        return MoveViews(newest[:limit])

    def cancel(self, request: CancelMove, call: Call) -> Cancelled:
        del call
        for move in self._moves:
            if move.handle == request.task_handle and move.status == "RUNNING":
                move.status = "CANCELLED"
                return Cancelled(move.moved)
        raise sqs_errors.no_such_resource("Task does not exist.")

    def _queue(self, arn: str, parameter: str) -> Queue:
        queue = self._store.by_arn(arn)
        if queue is None:
            raise sqs_errors.no_such_resource(
                f"The resource that you specified for the {parameter} parameter doesn't exist."
            )
        return queue

    # --- the work ---

    def _run(self, move: Move) -> None:
        task = asyncio.get_running_loop().create_task(self._work(move))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, move: Move) -> None:
        rate = move.request.max_number_of_messages_per_second or MAX_RATE
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            while move.status == "RUNNING":
                due = int((loop.time() - started) * rate) + 1
                self._step(move, min(due, move.to_move) - move.moved)
                await asyncio.sleep(TICK_SECONDS)
        except (ApiError, JournalError) as error:
            log.warning("move task failed: %s", error)
            move.status, move.failure = "FAILED", "CouldNotMove"

    def _step(self, move: Move, limit: int) -> None:
        source = self._store.get(move.source)
        if source is None:
            move.status, move.failure = "FAILED", "AWS.SimpleQueueService.NonExistentQueue"
            return
        head = source.messages.head(limit) if limit > 0 else []
        for message in head:
            destination = self._destination(move, message)
            if destination is None:
                move.status, move.failure = "FAILED", "CouldNotDetermineMessageSource"
                return
            self._transfer(source, destination, message)
            move.moved += 1
        if move.moved >= move.to_move or (limit > 0 and not head):
            move.status = "COMPLETED"

    def _destination(self, move: Move, message: Message) -> Queue | None:
        return self._store.by_arn(move.request.destination_arn or message.source_arn)

    def _transfer(self, source: Queue, destination: Queue, message: Message) -> None:
        message_id = str(uuid.uuid4())
        moved = msgspec.structs.replace(
            message,
            key=message_id,
            message_id=message_id,
            sent_at=self._store.clock(),
            source_arn="",
            receive_count=0,
            first_received_at=0.0,
            due_at=0.0,
        )
        self._store.commit(Removed(source.name, [message.key]), Added(destination.name, [moved]))
        self._polling.notify(destination)

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()


def _handle(source_arn: str) -> str:
    text = msgspec.json.encode({"taskId": str(uuid.uuid4()), "sourceArn": source_arn})
    return base64.b64encode(text).decode()
