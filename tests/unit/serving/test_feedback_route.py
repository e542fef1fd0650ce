"""POST /v1/feedback without HTTP and without Redis."""

import pytest

from adapters.redis_multiplexed import Late, NotDone, Unknown
from domain.errors import Transient
from domain.event_ids import event_id_of_feedback, event_id_of_message
from domain.events import FeedbackGiven
from tests.unit.serving.fakes import NOW, FakeExchange, RequestPath

ALICE = (b"authorization", b"Bearer alice")
BOB = (b"authorization", b"Bearer bob")
ANSWER, OTHER = "018f0000-0000-7000-8000-0000000000a1", "018f0000-0000-7000-8000-0000000000a2"
FEEDBACK: dict[str, object] = {"session_id": "s-1", "event_id": ANSWER, "signal": "up"}


@pytest.fixture(autouse=True)
def _sessions(path: RequestPath) -> None:
    path.stock.owners = {"s-1": "alice", "nobody's": ""}


def give(path: RequestPath, body: object, *headers: tuple[bytes, bytes]) -> FakeExchange:
    return path.send(path.feedback, body, *headers)


def test_an_opinion_is_written_and_confirmed(path: RequestPath) -> None:
    response = give(path, {**FEEDBACK, "signal": "down", "comment": "古い"}, ALICE)
    event_id = event_id_of_feedback("alice", ANSWER, "down")
    assert (response.status, response.json) == (202, {"event_id": event_id})
    assert f"x-event-id: {event_id}\r\n".encode() in response.lines
    (event,) = path.stock.events
    assert isinstance(event, FeedbackGiven)
    assert (event.owner, event.session_id, event.answer_event_id) == ("alice", "s-1", ANSWER)
    assert (event.signal, event.comment, event.occurred_at) == ("down", "古い", NOW)
    assert path.sink.copied == [event]


def test_the_same_opinion_is_the_same_event_and_another_is_not(path: RequestPath) -> None:
    path.stock.owners["s-2"] = "bob"
    ids = [
        give(path, FEEDBACK, ALICE).json["event_id"],
        give(path, {**FEEDBACK, "comment": "again"}, ALICE).json["event_id"],
        give(path, {**FEEDBACK, "signal": "down"}, ALICE).json["event_id"],
        give(path, {**FEEDBACK, "event_id": OTHER}, ALICE).json["event_id"],
        give(path, {**FEEDBACK, "session_id": "s-2"}, BOB).json["event_id"],
    ]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 4
    assert event_id_of_message("alice", ANSWER, "up", "") not in ids


@pytest.mark.parametrize(
    ("body", "header", "status"),
    [
        (FEEDBACK, BOB, 403),
        ({**FEEDBACK, "session_id": "nobody's"}, ALICE, 422),
        ({**FEEDBACK, "session_id": "s-9"}, ALICE, 404),
        ({**FEEDBACK, "signal": "UP"}, ALICE, 422),
        ({**FEEDBACK, "signal": None}, ALICE, 422),
        ({**FEEDBACK, "comment": "x" * 501}, ALICE, 422),
        ({**FEEDBACK, "event_id": "e-1"}, ALICE, 422),
        ({**FEEDBACK, "event_id": f"{ANSWER}\n"}, ALICE, 422),
        ({**FEEDBACK, "event_id": ANSWER.upper()}, ALICE, 422),
        ({**FEEDBACK, "event_id": ANSWER.replace("-", "")}, ALICE, 422),
        ({**FEEDBACK, "user": "bob"}, ALICE, 422),
        ({"session_id": "s-1", "event_id": ANSWER}, ALICE, 422),
        (b"{", ALICE, 400),
        (b"[" * 5000, ALICE, 422),
    ],
)
def test_what_is_no_opinion_of_the_callers_is_refused(
    path: RequestPath, body: object, header: tuple[bytes, bytes], status: int
) -> None:
    assert give(path, body, header).status == status
    assert path.stock.events == []


def test_somebody_not_signed_in_has_opinions_of_their_own_sessions(path: RequestPath) -> None:
    path.stock.owners["open"] = ""
    assert give(path, {**FEEDBACK, "session_id": "open"}).status == 202
    assert give(path, FEEDBACK).status == 403


@pytest.mark.parametrize("fault", [NotDone("refused"), Unknown("lost"), Late("late")])
def test_without_redis_an_opinion_is_kept_elsewhere(path: RequestPath, fault: Transient) -> None:
    path.stock.fault = fault
    response = give(path, FEEDBACK, ALICE)
    assert response.status == 202
    ((kind, event),) = path.sink.kept
    assert (kind, event.event_id) == ("feedback.given", response.json["event_id"])


def test_an_opinion_that_nothing_keeps_is_refused(path: RequestPath) -> None:
    path.stock.fault, path.sink.is_full = NotDone("refused"), True
    assert give(path, FEEDBACK, ALICE).status == 429
