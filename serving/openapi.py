"""The OpenAPI 3.1 document, made of the types that requests are validated with."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import msgspec

from config import answers
from serving import frames, models
from serving.problems import ProblemDocument

Document = dict[str, Any]

MAX_TITLES = answers.declared().kinds.recommendation.top_n

_TEXT = {"type": "string"}
_HEADERS: Document = {
    "X-Answer-Source": {"description": "Where the answer came from", "schema": _TEXT},
    "X-Event-Id": {"description": "The event that the request caused", "schema": _TEXT},
    "Server-Timing": {"description": "Milliseconds per segment", "schema": _TEXT},
}
_PROBLEMS: Mapping[int, str] = {
    400: "Malformed request",
    401: "No valid token",
    403: "The caller may not do this",
    404: "No such thing",
    413: "The body is too large",
    415: "The body is not declared as JSON",
    422: "A field does not fit",
    429: "The request can't be taken note of now; Retry-After says when to ask again",
}

CONVERSATION = (
    "Frames are JSON texts of at most 32 KiB. The client sends AuthFrame first, unless the "
    "handshake has an Authorization header, and then MessageFrame; a MessageFrame as the first "
    "frame comes from somebody who is not signed in. Another AuthFrame renews the token. The "
    "server sends TokenFrame while an answer is being made, then the fields of ChatReply with "
    "`type` answer and the `message_id`, or ErrorFrame. Questions are answered one at a time, "
    "in their order. After the code `reconnect` connect again; a question without an answer may "
    "be sent again with its `message_id`."
)


@cache
def document(version: str) -> bytes:
    """The document as JSON."""
    types = (
        models.ChatRequest, models.ChatReply, models.InteractionsRequest, models.InteractionsReply,
        models.FeedbackRequest, models.FeedbackReply,
        models.SessionReply, models.Liveness, models.Readiness, ProblemDocument,
        frames.AuthFrame, frames.MessageFrame, frames.TokenFrame, frames.ErrorFrame,
    )  # fmt: skip
    _, schemas = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "MangaAssist",
                "version": version,
                "description": "The assistant of a Japanese manga store.",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "paths": _paths(),
            "components": {
                "schemas": schemas,
                "securitySchemes": {
                    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
                },
            },
        }
    )


def _paths() -> Document:
    return {
        "/v1/chat": {
            "post": {
                "operationId": "chat",
                "summary": "Answer a question",
                "security": [{}, {"token": []}],
                "requestBody": _takes("ChatRequest"),
                "responses": {
                    "200": _gives("ChatReply", "The answer", _HEADERS),
                    **_problems(400, 401, 403, 413, 415, 422, 429),
                },
            }
        },
        "/v1/events": {
            "post": {
                "operationId": "recordInteractions",
                "summary": "Record what customers did; others' need the scope events:write",
                "security": [{"token": []}],
                "requestBody": _takes("InteractionsRequest"),
                "responses": {
                    "202": _gives("InteractionsReply", "What is stored and what is not"),
                    **_problems(400, 401, 413, 415, 422, 429),
                },
            }
        },
        "/v1/recommendations": {
            "get": {
                "operationId": "recommend",
                "summary": "Titles that suit the caller; for nobody in particular, popular ones",
                "security": [{}, {"token": []}],
                "parameters": [
                    _parameter("limit", {"type": "integer", "minimum": 1, "maximum": MAX_TITLES}),
                    _parameter("locale", {"enum": ["ja", "en"]}),
                ],
                "responses": {
                    "200": _gives("ChatReply", "The recommendation", _HEADERS),
                    **_problems(401, 422, 429),
                },
            }
        },
        "/v1/feedback": {
            "post": {
                "operationId": "giveFeedback",
                "summary": "Say what an answer was worth; the session has to be the caller's",
                "security": [{}, {"token": []}],
                "requestBody": _takes("FeedbackRequest"),
                "responses": {
                    "202": _gives("FeedbackReply", "It is stored"),
                    **_problems(400, 401, 403, 404, 413, 415, 422, 429),
                },
            }
        },
        "/v1/sessions/{session_id}": {
            "get": {
                "operationId": "session",
                "summary": "The caller's conversation",
                "security": [{"token": []}],
                "parameters": [
                    {"name": "session_id", "in": "path", "required": True, "schema": _TEXT}
                ],
                "responses": {
                    "200": _gives("SessionReply", "The conversation", _HEADERS),
                    **_problems(401, 404, 429),
                },
            }
        },
        "/v1/ws": {
            "get": {
                "operationId": "converse",
                "summary": "Ask over a WebSocket",
                "description": CONVERSATION,
                "security": [{}, {"token": []}],
                "parameters": [
                    {"name": "session_id", "in": "query", "required": True, "schema": _TEXT}
                ],
                "responses": {
                    "101": {"description": "Frames follow"},
                    **_problems(400, 401, 403, 404, 422, 429),
                },
            }
        },
        "/healthz": _page("liveness", "Whether the process runs", {"200": _json("Liveness")}),
        "/readyz": _page(
            "readiness",
            "Whether the process may take traffic",
            {"200": _json("Readiness"), "503": _json("Readiness")},
        ),
        "/metrics": _page("metrics", "Metrics for Prometheus", {"200": "text/plain"}),
        "/openapi.json": _page("openapi", "This document", {"200": "application/json"}),
    }


def _parameter(name: str, schema: Document) -> Document:
    return {"name": name, "in": "query", "required": False, "schema": schema}


def _page(operation: str, summary: str, answers: Mapping[str, Document | str]) -> Document:
    responses = {
        status: {
            "description": summary,
            "content": {answer: {}} if isinstance(answer, str) else answer,
        }
        for status, answer in answers.items()
    }
    return {"get": {"operationId": operation, "summary": summary, "responses": responses}}


def _json(name: str) -> Document:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def _takes(name: str) -> Document:
    return {"required": True, "content": _json(name)}


def _gives(name: str, description: str, headers: Document | None = None) -> Document:
    return {"description": description, "headers": headers or {}, "content": _json(name)}


def _problems(*statuses: int) -> Document:
    schema = {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"}
    return {
        str(status): {
            "description": _PROBLEMS[status],
            "content": {"application/problem+json": {"schema": schema}},
        }
        for status in _known(statuses)
    }


def _known(statuses: Iterable[int]) -> Iterable[int]:
    return sorted(statuses)
