"""Bedrock runtime over rest-json: Converse and InvokeModel, whole or as a stream.

Every chat model answers alike, from the prompt alone; one with "embed" in its id embeds. An id that
contains "absent" is of a model that the account lacks.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import urllib.parse
from typing import TYPE_CHECKING

import msgspec

from emulators import bedrock_streams as streams
from emulators.bedrock_shapes import Claude, Converse, TitanText
from emulators.chat_model import Reply, instead, reply
from emulators.event_stream import CONTENT_TYPE, exception, paced
from emulators.text_embedding import embedding
from emulators.wire import ApiError, Call, Outcome, Request, Response

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emulators.bedrock_shapes import Ask
    from emulators.event_stream import Piece
    from emulators.wire import Streaming

ROUTE = re.compile(
    r"/model/(?P<model>.+)/(?P<verb>invoke|invoke-with-response-stream|converse|converse-stream)"
)
ACTIONS = {
    "invoke": "InvokeModel",
    "invoke-with-response-stream": "InvokeModelWithResponseStream",
    "converse": "Converse",
    "converse-stream": "ConverseStream",
}
STREAM_ERROR = "modelStreamErrorException"

_json = msgspec.json.encode


class BedrockService:
    name = "bedrock"

    # --- the service port ---

    def claims(self, request: Request) -> bool:
        return request.path.startswith("/model/")

    def parse(self, request: Request) -> Call:
        match = ROUTE.fullmatch(urllib.parse.unquote(request.path))
        if match is None or request.method != "POST":
            raise ApiError("UnknownOperationException", "No such operation.", status=404)
        action, model = ACTIONS[match["verb"]], match["model"]
        if "absent" in model:
            message = "The provided model identifier is not known."
            raise ApiError("ResourceNotFoundException", message, status=404)
        return Call(action, request, _params(action, model, request.body), model)

    def invoke(self, call: Call) -> Outcome:
        params = call.params
        if isinstance(params, TitanText):
            return _embedded(params)
        assert isinstance(params, Converse | Claude)  # noqa: S101 - parse() made it so
        said = instead(_reply(params), call.streaming.says)
        if call.action == "ConverseStream":
            latency_ms = _seconds(said, call.streaming) * 1000
            return _stream(streams.converse(said, round(latency_ms)), call.streaming)
        if call.action == "InvokeModelWithResponseStream":
            return _stream(streams.claude(said, call.resource), call.streaming)
        return _whole(said, call)

    def fault(self, kind: str) -> ApiError:
        code, status, message = _FAULTS.get(kind, _FAULTS["http500"])
        return ApiError(code, message, status=status)

    def error(self, error: ApiError) -> Response:
        headers = (("x-amzn-ErrorType", error.code),)
        return Response(error.status, _json({"message": error.message}), headers=headers)

    def control(self, request: Request, path: str) -> Response:
        del request
        return Response(404, _json({"message": f"nothing at {path}"}))

    def close(self) -> None:
        """Keeps nothing."""


_FAULTS = {
    "throttle": ("ThrottlingException", 429, "Too many requests, please wait."),
    "model_timeout": ("ModelTimeoutException", 408, "The model did not answer in time."),
    "model_not_ready": ("ModelNotReadyException", 429, "The model is not ready."),
    "expired_token": ("ExpiredTokenException", 403, "The security token is expired."),
    "access_denied": ("AccessDeniedException", 403, "You have no access to the model."),
    "http503": ("ServiceUnavailableException", 503, "The service is unavailable."),
    "http500": ("InternalServerException", 500, "An internal error occurred."),
}


def _params(action: str, model: str, body: bytes) -> Ask:
    kind: type[Ask] = Converse
    if action.startswith("Invoke"):
        kind = TitanText if "embed" in model else Claude
    if kind is TitanText and action != "InvokeModel":
        raise ApiError("ValidationException", "The model does not support streaming.")
    try:
        params = msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise ApiError("ValidationException", str(error)) from error
    if not isinstance(params, TitanText):
        _check_turns([message.role for message in params.messages])
    return params


def _check_turns(roles: list[str]) -> None:
    if roles[0] != "user" or roles[-1] != "user":
        raise ApiError("ValidationException", "A conversation begins and ends with a user message.")
    if any(one == other for one, other in itertools.pairwise(roles)):
        raise ApiError("ValidationException", "Roles must alternate between user and assistant.")


def _reply(params: Converse | Claude) -> Reply:
    texts = [message.text for message in params.messages]
    if isinstance(params, Claude):
        return reply(params.system, texts, params.max_tokens)
    system = "\n".join(block.text for block in params.system)
    return reply(system, texts, params.inference_config.max_tokens)


def _seconds(said: Reply, streaming: Streaming) -> float:
    """How long the model takes for all of it."""
    return streaming.first_seconds + streaming.token_seconds * max(len(said.tokens) - 1, 0)


async def _whole(said: Reply, call: Call) -> Response:
    seconds = _seconds(said, call.streaming)
    await asyncio.sleep(seconds)
    if call.streaming.breaks_after is not None:
        raise ApiError("ModelErrorException", "The model failed.", status=424)
    if call.action == "Converse":
        document: object = {
            "output": {"message": {"role": "assistant", "content": [{"text": said.text}]}},
            "stopReason": said.stop_reason,
            "usage": streams.usage(said),
            "metrics": {"latencyMs": round(seconds * 1000)},
        }
    else:
        document = {
            "type": "message",
            "role": "assistant",
            "model": call.resource,
            "content": [{"type": "text", "text": said.text}],
            "stop_reason": said.stop_reason,
            "usage": {"input_tokens": said.input_tokens, "output_tokens": len(said.tokens)},
        }
    return Response(200, _json(document))


def _stream(pieces: Iterable[Piece], streaming: Streaming) -> Response:
    kind = streaming.error or STREAM_ERROR
    broken = exception(kind, _json({"message": "The stream broke off."}))
    headers = (("X-Amzn-Bedrock-Content-Type", "application/json"),)
    frames = paced(pieces, streaming, broken)
    return Response(200, content_type=CONTENT_TYPE, headers=headers, stream=frames)


def _embedded(params: TitanText) -> Response:
    vector = embedding(params.input_text, params.dimensions, is_normalized=params.normalize)
    tokens = max(1, len(params.input_text) // 4)
    return Response(200, _json({"embedding": vector, "inputTextTokenCount": tokens}))
