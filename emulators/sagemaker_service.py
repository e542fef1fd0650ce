"""SageMaker runtime over rest-json: InvokeEndpoint, answered by a container behind each endpoint.

Endpoints are declared at start as NAME=URL of the container; unknown ones are errors. What the
container answers is passed on; what it refuses becomes a ModelError with its own status.
"""

from __future__ import annotations

import re
import urllib.parse
from typing import TYPE_CHECKING

import msgspec

from emulators.container import Container, ContainerGoneError
from emulators.wire import ApiError, Call, Outcome, Reply, Request, Response

if TYPE_CHECKING:
    from collections.abc import Sequence

ROUTE = re.compile(r"/endpoints/([A-Za-z0-9](?:-*[A-Za-z0-9])*)/invocations")
VARIANT = "AllTraffic"
NOT_READY = frozenset({502, 503, 504})
"""What a container answers that has no model yet."""

FAULTS = {
    "http500": ("InternalFailure", "Internal failure.", 500),
    "http503": ("ServiceUnavailable", "Service is unavailable.", 503),
    "throttle": ("ThrottlingException", "Rate exceeded", 400),
    "expired_token": ("ExpiredTokenException", "The security token is expired", 403),
    "access_denied": ("AccessDeniedException", "Not authorized.", 403),
    "model_not_ready": ("ModelNotReadyException", "The model is not ready.", 429),
    "dependency": ("InternalDependencyException", "An internal dependency failed.", 530),
}


class SageMakerService:
    name = "sagemaker"

    def __init__(self, endpoints: Sequence[str]) -> None:
        self._containers = dict(map(_declared, endpoints))

    def claims(self, request: Request) -> bool:
        return ROUTE.fullmatch(urllib.parse.unquote(request.path)) is not None

    def parse(self, request: Request) -> Call:
        match = ROUTE.fullmatch(urllib.parse.unquote(request.path))
        if match is None or request.method != "POST":
            raise ApiError("UnknownOperationException", "No such operation.", status=404)
        return Call("InvokeEndpoint", request, None, match[1])

    def invoke(self, call: Call) -> Outcome:
        container = self._containers.get(call.resource)
        if container is None:
            raise ApiError("ValidationError", f"Endpoint {call.resource} not found.")
        return self._invoke(container, call.request)

    async def _invoke(self, container: Container, request: Request) -> Reply:
        try:
            answer = await container.invoke(
                request.body, request.header(b"content-type"), request.header(b"accept")
            )
        except ContainerGoneError as error:
            raise self.fault("model_not_ready") from error
        if answer.status in NOT_READY:
            raise self.fault("model_not_ready")
        if not 200 <= answer.status < 300:  # noqa: PLR2004 - success
            raise ModelError(answer.status, answer.body.decode(errors="replace"))
        return Response(
            200,
            answer.body,
            answer.content_type or "application/octet-stream",
            (("x-Amzn-Invoked-Production-Variant", VARIANT),),
        )

    def fault(self, kind: str) -> ApiError:
        if kind == "model_error":
            return ModelError(500, "the container failed")
        code, message, status = FAULTS.get(kind, FAULTS["http500"])
        return ApiError(code, message, status=status)

    def error(self, error: ApiError) -> Response:
        document: dict[str, object] = {"Message": error.message}
        if isinstance(error, ModelError):
            document |= {
                "OriginalStatusCode": error.original_status,
                "OriginalMessage": error.original_message,
            }
        body = msgspec.json.encode(document)
        return Response(error.status, body, headers=(("x-amzn-ErrorType", error.code),))

    def control(self, request: Request, path: str) -> Response:
        """GET lists the endpoints."""
        if path != "endpoints" or request.method != "GET":
            return Response(404, msgspec.json.encode({"message": f"nothing at {path}"}))
        return Response(200, msgspec.json.encode(sorted(self._containers)))

    def close(self) -> None:
        for container in self._containers.values():
            container.close()


class ModelError(ApiError):
    """The container answered with an error of its own."""

    def __init__(self, status: int, message: str) -> None:
        summary = f"Received server error ({status}) from the model container."
        super().__init__("ModelError", summary, status=424)
        self.original_status = status
        self.original_message = message[:1024]


def _declared(text: str) -> tuple[str, Container]:
    name, separator, url = text.partition("=")
    if not separator or not name:
        raise ValueError(f"an endpoint is declared as NAME=URL, not {text!r}")
    return name, Container(url)
