"""SageMaker runtime's InvokeEndpointWithResponseStream, before a container with a chat model.

The container speaks the messages format that serving containers share: JSON in, and out a
stream of `data:` lines with deltas. Its bytes come in parts that respect neither lines nor letters.
"""

from __future__ import annotations

import itertools
import re
import urllib.parse
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from emulators.chat_model import Reply, instead, reply
from emulators.event_stream import CONTENT_TYPE, Piece, event, exception, paced
from emulators.wire import ApiError, Call, Outcome, Request, Response

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIX = "/invocations-response-stream"
ROUTE = re.compile(r"/endpoints/([A-Za-z0-9](?:-*[A-Za-z0-9]){0,62})/invocations-response-stream")
STREAM_ERROR = "ModelStreamError"
FINISH = {"end_turn": "stop", "max_tokens": "length"}
END = b"data: [DONE]\n\n"

_json = msgspec.json.encode


class Message(msgspec.Struct, frozen=True):
    """One turn."""

    role: Literal["system", "user", "assistant"]
    content: str


class Chat(msgspec.Struct, frozen=True):
    """What the container takes."""

    messages: Annotated[list[Message], Meta(min_length=1)]
    stream: Literal[True]
    max_tokens: Annotated[int, Meta(ge=1)] = 1024
    temperature: Annotated[float, Meta(ge=0, le=2)] = 0.0


class SageMakerStreamService:
    name = "sagemaker-stream"

    def claims(self, request: Request) -> bool:
        return request.path.startswith("/endpoints/") and request.path.endswith(SUFFIX)

    def parse(self, request: Request) -> Call:
        match = ROUTE.fullmatch(urllib.parse.unquote(request.path))
        if match is None or request.method != "POST":
            raise ApiError("ValidationError", "The endpoint name is not valid.")
        if "absent" in match[1]:
            raise ApiError("ValidationError", f"Endpoint {match[1]} of account not found.")
        return Call("InvokeEndpointWithResponseStream", request, _chat(request.body), match[1])

    def invoke(self, call: Call) -> Outcome:
        chat = call.params
        assert isinstance(chat, Chat)  # noqa: S101 - parse() made it so
        system = "\n".join(one.content for one in chat.messages if one.role == "system")
        turns = [one.content for one in chat.messages if one.role != "system"]
        said = instead(reply(system, turns or [""], chat.max_tokens), call.streaming.says)
        failure = {"Message": "The stream broke off.", "ErrorCode": "StreamBroken"}
        broken = exception(call.streaming.error or STREAM_ERROR, _json(failure))
        return Response(
            200,
            content_type=CONTENT_TYPE,
            headers=(
                ("X-Amzn-SageMaker-Content-Type", "text/event-stream"),
                ("x-Amzn-Invoked-Production-Variant", "AllTraffic"),
            ),
            stream=paced(_pieces(said), call.streaming, broken),
        )

    def fault(self, kind: str) -> ApiError:
        code, status = _FAULTS.get(kind, _FAULTS["http500"])
        return ApiError(code, "The call failed as it was told to.", status=status)

    def error(self, error: ApiError) -> Response:
        headers = (("x-amzn-ErrorType", error.code),)
        return Response(error.status, _json({"Message": error.message}), headers=headers)

    def control(self, request: Request, path: str) -> Response:
        del request
        return Response(404, _json({"message": f"nothing at {path}"}))

    def close(self) -> None:
        """Keeps nothing."""


_FAULTS = {
    "throttle": ("ThrottlingException", 400),
    "model_timeout": ("ModelError", 424),
    "model_not_ready": ("ModelNotReadyException", 429),
    "expired_token": ("ExpiredTokenException", 403),
    "access_denied": ("AccessDeniedException", 403),
    "http503": ("ServiceUnavailable", 503),
    "http500": ("InternalFailure", 500),
}


def _chat(body: bytes) -> Chat:
    try:
        return msgspec.json.decode(body, type=Chat)
    except msgspec.DecodeError as error:
        raise ApiError("ModelError", f"The container refuses the body: {error}", status=424) from (
            error
        )


def _pieces(said: Reply) -> Iterator[Piece]:
    """Each part is the rest of a line and the first half of the next one."""
    lines = [*(_line({"content": token}) for token in said.tokens)]
    lines.append(_line({}, said) + END)
    begun = 0
    for line, following in itertools.pairwise(lines):
        ahead = len(following) // 2
        yield Piece(_part(line[begun:] + following[:ahead]), is_token=True)
        begun = ahead
    yield Piece(_part(lines[-1][begun:]))


def _line(delta: dict[str, str], said: Reply | None = None) -> bytes:
    finish = None if said is None else FINISH[said.stop_reason]
    document: dict[str, object] = {
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    if said is not None:
        document["usage"] = {
            "prompt_tokens": said.input_tokens,
            "completion_tokens": len(said.tokens),
        }
    return b"data: " + _json(document) + b"\n\n"


def _part(data: bytes) -> bytes:
    return event("PayloadPart", data, "application/octet-stream")
