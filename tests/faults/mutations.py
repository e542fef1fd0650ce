"""Protections of the product that a test can take from a process, to see what they are for.

Each replaces the one thing that protects by what somebody would write who had not thought of it.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pycurl


def _without_dedupe() -> None:
    """Every delivery of an interaction is counted."""
    from adapters import redis_counts  # noqa: PLC0415

    redis_counts._identity = lambda job: os.urandom(16)


def _without_conditional_write() -> None:
    """A session is read, added to, and written back."""
    from adapters import dynamodb_session_items as items  # noqa: PLC0415
    from adapters import dynamodb_sessions as module  # noqa: PLC0415
    from adapters.dynamodb_values import number  # noqa: PLC0415
    from domain.sessions import Session  # noqa: PLC0415

    def add(self: Any, session_id: str, owner: str, turns: Sequence[Any]) -> Session:
        found = self.get(session_id, owner) or Session(session_id, owner)
        session = found.with_turns(turns)
        self._aws.dynamodb.put_item(
            TableName=self._table,
            Item={
                "session_id": {"S": session_id},
                "owner": {"S": owner},
                "turns": {"M": {one.event_id: items.attributes(one) for one in session.in_order()}},
                "updated_at": number(self._clock()),
                "expires_at": number(self._expiry(self._clock())),
            },
        )
        return session

    module.DynamoDBSessions._add = add  # type: ignore[method-assign]


def _without_late_acknowledgement() -> None:
    """A message is deleted when its task begins."""
    from workers import app  # noqa: PLC0415

    app.app.conf.task_acks_late = False
    for task in app.app.tasks.values():
        task.acks_late = False


def _without_spool() -> None:
    """What Redis does not take is promised all the same."""
    from adapters import spool_writing  # noqa: PLC0415

    spool_writing.SpoolWriter.write = lambda self, records: None  # type: ignore[method-assign]


def _without_validator() -> None:
    """Whatever arrives is handed to Celery as it is, and what that raises is not caught."""
    import json  # noqa: PLC0415

    from workers import intake, polling  # noqa: PLC0415
    from workers.receiving import Failed  # noqa: PLC0415

    def payload(self: Any, queue: str, handle: str, message: Mapping[str, Any]) -> Any:
        document = json.loads(message["Body"])
        rest = {name: value for name, value in message.items() if name != "Body"}
        url = self._options.queues[queue].url
        info = {"routing_key": queue, "sqs_queue": url, "sqs_message": rest}
        document["properties"].update(delivery_tag=handle, delivery_info=info)
        return document

    def deliver(self: Any, queue: str, payload: Any) -> None:
        self._channel.callback(queue)(payload)

    def answered(self: Any, outcome: Any) -> None:
        failed = isinstance(outcome, Failed)
        self._after(self._failed(outcome)) if failed else self._succeeded(outcome)

    intake.Intake._payload = payload  # type: ignore[method-assign]
    intake.Intake._deliver = deliver  # type: ignore[method-assign]
    polling.QueuePoll._answered = answered  # type: ignore[method-assign]


def _without_receive_timeout() -> None:
    """A long poll waits for ever for its answer, as kombu's does."""
    from kombu.asynchronous.http.curl import CurlClient  # noqa: PLC0415

    from workers import receiving  # noqa: PLC0415

    def set_up(self: Any, curl: Any, request: Any, buffer: Any, headers: Any) -> None:
        CurlClient._setup_request(self, curl, request, buffer, headers)  # type: ignore[attr-defined]
        curl.setopt(pycurl.NOSIGNAL, 1)

    receiving.BoundedCurlClient._setup_request = set_up  # type: ignore[method-assign]


def _without_event_times() -> None:
    """What was read of a user last is what is written."""
    from domain.features import UserFeatures  # noqa: PLC0415

    UserFeatures.newer = lambda self, groups: groups  # type: ignore[method-assign]


def _without_ends() -> None:
    """A model's answer is whatever came of it."""
    from domain.errors import MangaAssistError  # noqa: PLC0415
    from domain.model import Ended, Stop  # noqa: PLC0415
    from serving.generating import Generating  # noqa: PLC0415

    async def streamed(
        self: Any, prompt: Any, size: Any, ends_at: float, emit: Callable[[str], None]
    ) -> tuple[str, Ended]:
        pieces: list[str] = []
        try:
            stream = self._models.of(size).stream(prompt, self._seconds("model", ends_at))
            async for part in stream:
                if isinstance(part, str):
                    pieces.append(part)  # noqa: PERF401 - what came before it breaks off
        except MangaAssistError:
            pass
        return "".join(pieces), Ended(Stop.DONE, 0, 0)

    Generating._streamed = streamed  # type: ignore[method-assign]


PROTECTIONS: Mapping[str, Callable[[], None]] = {
    "dedupe": _without_dedupe,
    "conditional write": _without_conditional_write,
    "acknowledgement after the effect": _without_late_acknowledgement,
    "spool": _without_spool,
    "validator": _without_validator,
    "receive timeout": _without_receive_timeout,
    "event times": _without_event_times,
    "end of an answer": _without_ends,
}


def switch_off(protection: str) -> None:
    """Take a protection from this process; raises KeyError for one that is not known."""
    PROTECTIONS[protection]()
