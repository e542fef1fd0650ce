"""GET /v1/sessions/{id} without HTTP and without Redis."""

import json
import re
from dataclasses import dataclass, field, replace

import pytest
from opentelemetry.trace import StatusCode
from starlette.requests import Request
from starlette.responses import Response

from adapters.redis_multiplexed import Late, NotDone
from adapters.redis_sessions import decode_copy, encode_copy, encode_history
from domain.answers import AnswerKey
from domain.errors import Transient
from domain.sessions import Session, Turn
from serving.meters import Meters
from serving.pages import SessionPage
from serving.problems import Problem
from serving.session_reader import SessionReader
from serving.tracing import UNTRACED, Tracing
from tests import unhurried
from tests.fakes import FakeSessions
from tests.samples import turn
from tests.spans import SAMPLED, Spans, said
from tests.unit.serving.fakes import CountingRegistry, KnownCallers


@dataclass
class FakeCopies:
    """Redis: one copy, or a fault."""

    stored: bytes | Transient | None = None
    dropped: list[tuple[str, bytes]] = field(default_factory=list)

    def drop(self, key: str, damaged: bytes, seconds: float) -> None:
        self.dropped.append((key, damaged))

    async def session_history(self, session_id: str, seconds: float) -> bytes | None:
        if isinstance(self.stored, Transient):
            raise self.stored
        return self.stored

    async def session_owner(self, session_id: str, seconds: float) -> str | None:
        raise NotImplementedError

    async def session_copy(self, session_id: str, seconds: float) -> bytes | None:
        raise NotImplementedError

    async def stored_answer(self, key: AnswerKey, seconds: float) -> bytes | None:
        raise NotImplementedError


@dataclass
class Site:
    """The page of alice's session `s` over fakes."""

    copies: FakeCopies = field(default_factory=FakeCopies)
    sessions: FakeSessions = field(default_factory=FakeSessions)
    registry: CountingRegistry = field(default_factory=CountingRegistry)
    tracing: Tracing = UNTRACED

    async def get(self, caller: bytes = b"Bearer alice") -> Response:
        meters = Meters(self.registry)
        page = SessionPage(
            gate=KnownCallers(),
            reader=SessionReader(self.copies, decode_copy, self.sessions, meters),
            budget=unhurried.budgets().routes["sessions"],
            meters=meters,
            tracing=self.tracing,
        )
        headers = [(b"authorization", caller), (b"traceparent", SAMPLED.encode())]
        return await page(
            Request({"type": "http", "headers": headers, "path_params": {"session_id": "s"}})
        )

    def observed(self) -> set[str]:
        return {key[1] for key in self.registry.sums if key[0] == "segment_seconds"}


@pytest.fixture
def site() -> Site:
    return Site()


def times(response: Response) -> dict[str, float]:
    found = re.findall(r"(\w+);dur=([\d.]+)", response.headers["server-timing"])
    return {name: float(milliseconds) for name, milliseconds in found}


def copy_of(first: Turn) -> bytes:
    return encode_copy(Session("s", "alice", {first.event_id: first}))


async def test_a_copy_is_timed_and_the_table_takes_no_time(site: Site) -> None:
    site.copies.stored = copy_of(turn("e1"))
    response = await site.get()
    assert response.headers["x-answer-source"] == "cache"
    assert list(times(response)) == ["redis", "dynamodb", "total"]
    assert times(response)["dynamodb"] == 0
    assert site.observed() == {"redis"}


async def test_a_damaged_copy_is_counted_and_deleted(site: Site) -> None:
    site.sessions.add_turns("s", "alice", [turn("e1")])
    site.copies.stored = copy_of(turn("e1"))[:-1]
    assert (await site.get()).headers["x-answer-source"] == "table"
    assert site.copies.dropped == [("session_history:s", site.copies.stored)]
    assert site.registry.sums["redis_keys_damaged_total", "session"] == 1


async def test_a_summary_is_told_where_there_is_one(site: Site) -> None:
    session = Session("s", "alice").with_turns([turn("e1")])
    site.copies.stored = encode_history(session)
    assert "summary" not in json.loads(bytes((await site.get()).body))
    site.copies.stored = encode_history(replace(session, summary="short"))
    assert json.loads(bytes((await site.get()).body))["summary"] == "short"


async def test_both_segments_are_timed_where_the_table_is_asked(site: Site) -> None:
    site.sessions.add_turns("s", "alice", [turn("e1")])
    response = await site.get()
    assert response.headers["x-answer-source"] == "table"
    assert times(response).keys() == {"redis", "dynamodb", "total"}
    assert times(response)["total"] >= times(response)["dynamodb"] > 0
    assert site.observed() == {"redis", "dynamodb"}


async def test_segments_are_observed_also_for_a_session_that_is_not_there(site: Site) -> None:
    with pytest.raises(Problem):
        await site.get()
    assert site.observed() == {"redis", "dynamodb"}


@pytest.mark.parametrize(("fault", "exceeded"), [(Late("late"), 1), (NotDone("down"), None)])
async def test_a_copy_that_comes_late_exceeds_the_budget_of_redis(
    site: Site, fault: Transient, exceeded: int | None
) -> None:
    site.copies.stored = fault
    site.sessions.add_turns("s", "alice", [turn("e1")])
    assert (await site.get()).headers["x-answer-source"] == "table"
    assert site.registry.sums.get(("budget_exceeded_total", "redis")) == exceeded


@pytest.fixture
def spans(site: Site) -> Spans:
    found = Spans()
    site.tracing = found.tracing(ratio=0.0)
    return found


async def test_a_session_that_is_read_is_a_span_with_its_segments(site: Site, spans: Spans) -> None:
    site.sessions.add_turns("s", "alice", [turn("e1")])
    await site.get()
    server = spans.named("sessions")
    assert said(server) == {
        "mangaassist.route": "sessions",
        "http.response.status_code": 200,
        "mangaassist.source": "table",
    }
    assert server.parent is not None
    assert server.parent.span_id == int("b" * 16, 16)
    assert list(spans.parts_of(server)) == ["auth", "redis", "dynamodb"]


async def test_a_segment_of_a_session_that_failed_says_as_what(site: Site, spans: Spans) -> None:
    site.sessions.failing["s"] = Transient("a secret of the table", dependency="dynamodb")
    assert (await site.get()).headers["x-answer-source"] == "fallback"
    server = spans.named("sessions")
    assert said(server)["mangaassist.source"] == "fallback"
    assert said(spans.parts_of(server)["dynamodb"])["error.type"] == "Transient"
    assert "secret" not in "".join(span.to_json() for span in spans)


@pytest.mark.parametrize(("caller", "status"), [(b"Bearer a.b.c", 401), (b"Bearer alice", 404)])
async def test_a_session_that_is_refused_is_a_span_with_its_status(
    site: Site, spans: Spans, caller: bytes, status: int
) -> None:
    with pytest.raises(Problem):
        await site.get(caller)
    server = spans.named("sessions")
    assert said(server)["http.response.status_code"] == status
    assert server.status.status_code is StatusCode.UNSET, "the client's fault is none of ours"


async def test_a_mistake_of_ours_fails_the_span_of_a_session(site: Site, spans: Spans) -> None:
    site.copies.stored = 5  # type: ignore[assignment]
    with pytest.raises(AttributeError):
        await site.get()
    assert spans.named("sessions").status.status_code is StatusCode.ERROR
