"""Amazon SQS over the AWS JSON 1.0 protocol: which action, which queue, what reply.

The older query protocol is refused by name: current SDKs (and kombu through them) speak JSON only.
"""

from __future__ import annotations

import random
import urllib.parse
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from emulators import sqs_errors, sqs_queues, sqs_shapes
from emulators.journal import Journal, JournalError
from emulators.sqs_messages import MessageActions
from emulators.sqs_moves import Moves
from emulators.sqs_polling import Polling
from emulators.sqs_queues import QueueActions
from emulators.sqs_store import Queue, QueueStore
from emulators.wire import ApiError, Call, Clock, Outcome, Request, Response

TARGET_PREFIX = "AmazonSQS."
CONTENT_TYPE = "application/x-amz-json-1.0"
EMPTY = msgspec.Raw(b"{}")

Result = object
QueueAction = Callable[[Queue, Any, Call], Result]
AccountAction = Callable[[Any, Call], Result]


class SqsService:
    name = "sqs"

    def __init__(
        self,
        *,
        account: str,
        region: str,
        clock: Clock,
        journal: Journal | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._account = account
        self.store = QueueStore(account, region, clock, journal)
        self._polling = Polling(clock, rng or random.Random())
        self._moves = Moves(self.store, self._polling)
        queues = QueueActions(self.store, self._polling, self._url)
        messages = MessageActions(self.store, self._polling, account)
        self._queue_actions: dict[str, tuple[type, QueueAction]] = {
            "SendMessage": (sqs_shapes.SendMessage, messages.send),
            "SendMessageBatch": (sqs_shapes.SendMessageBatch, messages.send_batch),
            "ReceiveMessage": (sqs_shapes.ReceiveMessage, messages.receive),
            "DeleteMessage": (sqs_shapes.DeleteMessage, messages.delete),
            "DeleteMessageBatch": (sqs_shapes.DeleteMessageBatch, messages.delete_batch),
            "ChangeMessageVisibility": (sqs_shapes.ChangeMessageVisibility, messages.change),
            "ChangeMessageVisibilityBatch": (
                sqs_shapes.ChangeMessageVisibilityBatch,
                messages.change_batch,
            ),
            "GetQueueAttributes": (sqs_queues.GetAttributes, queues.get_attributes),
            "SetQueueAttributes": (sqs_queues.SetAttributes, queues.set_attributes),
            "DeleteQueue": (sqs_queues.QueueOnly, queues.delete),
            "PurgeQueue": (sqs_queues.QueueOnly, queues.purge),
            "TagQueue": (sqs_queues.TagQueue, queues.tag),
            "UntagQueue": (sqs_queues.UntagQueue, queues.untag),
            "ListQueueTags": (sqs_queues.QueueOnly, queues.tags),
            "ListDeadLetterSourceQueues": (sqs_queues.ListSources, queues.list_sources),
        }
        self._account_actions: dict[str, tuple[type, AccountAction]] = {
            "CreateQueue": (sqs_queues.CreateQueue, queues.create),
            "GetQueueUrl": (sqs_queues.GetQueueUrl, queues.url),
            "ListQueues": (sqs_queues.ListQueues, queues.list_queues),
            **self._moves.actions(),
        }
        self._decoders: dict[str, msgspec.json.Decoder[Any]] = {
            action: msgspec.json.Decoder(kind, strict=False)
            for action, (kind, _) in {**self._queue_actions, **self._account_actions}.items()
        }
        self._encoder = msgspec.json.Encoder()

    # --- the service port ---

    def claims(self, request: Request) -> bool:
        if request.header(b"x-amz-target").startswith(TARGET_PREFIX):
            return True
        form = request.header(b"content-type").startswith("application/x-www-form-urlencoded")
        return form and b"Action=" in request.body

    def parse(self, request: Request) -> Call:
        target = request.header(b"x-amz-target")
        if not target:
            raise sqs_errors.unsupported("The query protocol is not emulated: use AWS JSON 1.0.")
        action = target.removeprefix(TARGET_PREFIX)
        decoder = self._decoders.get(action)
        if decoder is None:
            raise ApiError("UnknownOperationException", f"Operation {action} is not emulated.")
        params = _decoded(decoder, request.body)
        url = getattr(params, "queue_url", "")
        resource = _name_in(url) if url else getattr(params, "queue_name", "")
        return Call(action, request, params, resource)

    def invoke(self, call: Call) -> Outcome:
        result = self._perform(call)
        if isinstance(result, Coroutine):
            return self._later(result)
        return self._reply(result)

    async def _later(self, result: Coroutine[Any, Any, object]) -> Response:
        return self._reply(await result)

    def _perform(self, call: Call) -> Result:
        try:
            if (entry := self._account_actions.get(call.action)) is not None:
                return entry[1](call.params, call)
            queue = self.store.get(call.resource)
            if queue is None:
                raise sqs_errors.no_such_queue()
            return self._queue_actions[call.action][1](queue, call.params, call)
        except JournalError as error:
            raise self.fault("http500") from error

    def _reply(self, result: Result) -> Response:
        body = self._encoder.encode(EMPTY if result is None else result)
        return Response(200, body, CONTENT_TYPE)

    def fault(self, kind: str) -> ApiError:
        match kind:
            case "throttle":
                return ApiError("RequestThrottled", "The request was denied by throttling.")
            case "expired_token":
                message = "The security token included in the request is expired"
                return ApiError(
                    "ExpiredTokenException", message, status=403, query_code="ExpiredToken"
                )
            case "access_denied":
                message = "Access to the resource is denied."
                return ApiError(
                    "AccessDeniedException", message, status=403, query_code="AccessDenied"
                )
            case "http503":
                return ApiError(
                    "ServiceUnavailable", "The service is temporarily unavailable.", status=503
                )
            case _:
                message = "The request processing has failed because of an unknown error."
                return ApiError("InternalError", message, status=500)

    def error(self, error: ApiError) -> Response:
        sender = "Receiver" if error.status >= 500 else "Sender"  # noqa: PLR2004
        body = {"__type": f"com.amazonaws.sqs#{error.code}", "message": error.message}
        return Response(
            error.status,
            self._encoder.encode(body),
            CONTENT_TYPE,
            (("x-amzn-query-error", f"{error.query_code};{sender}"),),
        )

    def control(self, request: Request, path: str) -> Response:
        del request
        return Response(404, self._encoder.encode({"message": f"nothing at sqs/{path}"}))

    def close(self) -> None:
        self._moves.close()
        self._polling.close()
        self.store.close()

    # --- addresses ---

    def _url(self, call: Call, name: str) -> str:
        """Queues are found under whatever address the client used to reach us."""
        host = call.request.header(b"host") or "127.0.0.1"
        return f"http://{host}/{self._account}/{name}"


def _name_in(url: str) -> str:
    name = (
        urllib.parse.urlsplit(url).path.rpartition("/")[2] if "?" in url else url.rpartition("/")[2]
    )
    if not name:
        raise ApiError("InvalidAddress", f"The address {url} is not valid for this endpoint.")
    return name


def _decoded(decoder: msgspec.json.Decoder[Any], body: bytes) -> object:
    try:
        decoded: object = decoder.decode(body or b"{}")
    except msgspec.ValidationError as error:
        text = str(error)
        if "missing required field" in text:
            raise sqs_errors.missing(text.split("`")[1]) from error
        raise sqs_errors.invalid_parameters(text) from error
    except msgspec.DecodeError as error:
        raise ApiError("SerializationException", "The request body is not valid JSON.") from error
    return decoded
