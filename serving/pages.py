"""The routes that are not hot: a session's turns, health, readiness, metrics and the document."""

import re
import time
from collections.abc import Callable
from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from config.budgets import Budget
from domain.answers import rfc3339
from domain.errors import Transient
from domain.sessions import Session
from serving import openapi
from serving.meters import Meters
from serving.models import Liveness, SessionReply, TurnView
from serving.problems import Problem, not_found
from serving.readiness import ReadinessChecks
from serving.segments import Segments
from serving.session_reader import SessionReader
from serving.tokens import Gate
from serving.tracing import UNTRACED, Part, Tracing

PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8"

_ROUTE = "sessions"
_MISTAKE = HTTPStatus.INTERNAL_SERVER_ERROR
_SESSION_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class SessionPage:
    """GET /v1/sessions/{id}: the owner's turns, from the copy in Redis or else the table."""

    def __init__(
        self,
        *,
        gate: Gate,
        reader: SessionReader,
        budget: Budget,
        meters: Meters,
        tracing: Tracing = UNTRACED,
    ) -> None:
        self._gate = gate
        self._reader = reader
        self._budget = budget
        self._meters = meters
        self._tracing = tracing

    async def __call__(self, request: Request) -> Response:
        """The session; another user's looks like none at all."""
        segments = Segments(self._budget.segments, self._meters)
        headers = dict(request.scope["headers"])
        self._tracing.begin(segments, _ROUTE, headers, segments.started)
        try:
            return await self._respond(request, segments)
        except Exception as error:
            if segments.trace is not None:
                segments.trace.refused(error.status if isinstance(error, Problem) else _MISTAKE)
            raise

    async def _respond(self, request: Request, segments: Segments) -> Response:
        caller = self._gate.known_caller(_authorization(request))
        segments.parts.append(Part("auth", segments.started, time.perf_counter()))
        session_id = request.path_params["session_id"]
        if not _SESSION_ID.fullmatch(session_id):
            raise not_found("there is no such session")
        session, source = await self._find(session_id, caller.user, segments)
        seconds = segments.total()
        self._meters.requests(_ROUTE, source).inc()
        self._meters.request_seconds(_ROUTE).observe(seconds)
        response = _json(
            _view(session),
            headers={"X-Answer-Source": source, "Server-Timing": segments.server_timing(seconds)},
        )
        if segments.trace is not None:
            said = {"mangaassist.source": source}
            segments.trace.answered(HTTPStatus.OK, segments.parts, said)
        return response

    async def _find(self, session_id: str, owner: str, segments: Segments) -> tuple[Session, str]:
        budget = self._budget
        with segments.timed("redis"):
            copy = await self._reader.history(session_id, budget.seconds("redis"))
        if copy is not None and copy.owner == owner:
            return copy, "cache"
        if copy is not None:
            raise not_found("there is no such session")
        try:
            with segments.timed("dynamodb"):
                stored = await self._reader.stored(session_id, owner, budget.seconds("dynamodb"))
        except Transient:
            # Degraded, as every route is by contract: no turns are known rather than an error.
            return Session(session_id, owner), "fallback"
        if stored is None:
            raise not_found("there is no such session")
        return stored, "table"


def routes(
    *,
    session: SessionPage,
    readiness: ReadinessChecks,
    metrics: Callable[[], bytes],
    version: str,
) -> list[BaseRoute]:
    """The routes, but for the hot ones."""

    async def healthz(_request: Request) -> Response:
        return _json(Liveness())

    async def readyz(_request: Request) -> Response:
        state = readiness.read()
        return _json(state, HTTPStatus.OK if state.ready else HTTPStatus.SERVICE_UNAVAILABLE)

    async def exposed(_request: Request) -> Response:
        return Response(metrics(), media_type=PROMETHEUS_TEXT)

    async def described(_request: Request) -> Response:
        return Response(openapi.document(version), media_type="application/json")

    return [
        Route("/v1/sessions/{session_id}", session.__call__, methods=["GET"]),
        Route("/healthz", healthz, methods=["GET"]),
        Route("/readyz", readyz, methods=["GET"]),
        Route("/metrics", exposed, methods=["GET"]),
        Route("/openapi.json", described, methods=["GET"]),
    ]


def _authorization(request: Request) -> bytes | None:
    found = [text for name, text in request.scope["headers"] if name == b"authorization"]
    return found[0] if len(found) == 1 else (b"more than one" if found else None)


def _json(
    document: msgspec.Struct,
    status: HTTPStatus = HTTPStatus.OK,
    headers: dict[str, str] | None = None,
) -> Response:
    return Response(msgspec.json.encode(document), status, headers, media_type="application/json")


def _view(session: Session) -> SessionReply:
    turns = [
        TurnView(
            message_id=turn.message_id,
            question=turn.question,
            answer_preview=turn.answer_preview,
            at=rfc3339(turn.at),
            retracted=turn.is_retracted or msgspec.UNSET,
        )
        for turn in session.in_order()
    ]
    return SessionReply(
        session_id=session.session_id, turns=turns, summary=session.summary or msgspec.UNSET
    )
