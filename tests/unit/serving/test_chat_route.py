"""POST /v1/chat without HTTP and without Redis."""

import asyncio
import json
from uuid import UUID, uuid5

import msgspec
import pytest

from adapters.redis_multiplexed import Late, NotDone, Unknown, WritesRefused
from adapters.redis_serving import Complaint
from domain.answers import HEADER, AnswerKey
from domain.errors import Refused
from domain.event_ids import event_id_of_message
from domain.events import AnswerFoundDamaged, AnswerServed
from serving.exchange import dispatch
from serving.keys import KeySet
from serving.known_messages import KnownMessages
from serving.models import ChatReply
from serving.problems import Problem
from serving.tokens import Gate
from tests.unit.serving.fakes import NOW, FakeExchange, RequestPath, stored

TRENDING, FALLBACK = "trending:manga:top10:en", "answer:fallback:all:en"
QUESTION = {"session_id": "s-1", "message": "what is popular"}
ALICE = (b"authorization", b"Bearer alice")


def test_a_stored_answer_is_sent_as_it_is_with_its_source_age_and_event(path: RequestPath) -> None:
    path.stock.answers[TRENDING] = stored()
    response = path.ask({**QUESTION, "message_id": "m-1"}, ALICE)
    assert response.status == 200
    reply = msgspec.json.decode(response.answer, type=ChatReply)
    assert (reply.source, reply.age_seconds, reply.version) == ("precomputed", 10.0, 7)
    assert reply.answer.text == "the trending answer"
    assert reply.event_id == event_id_of_message("alice", "s-1", "m-1", "what is popular")
    assert f"x-event-id: {reply.event_id}\r\n".encode() in response.lines
    assert b"x-answer-source: precomputed\r\n" in response.lines
    for segment in (b"auth", b"classify", b"redis", b"total"):
        assert segment + b";dur=" in response.lines


def test_the_event_says_who_asked_what(path: RequestPath) -> None:
    trace = b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"
    path.ask({**QUESTION, "message_id": "m-1"}, ALICE, (b"traceparent", trace))
    path.ask(QUESTION, (b"traceparent", b"00-nonsense"))
    first, second = path.stock.events
    assert isinstance(first, AnswerServed)
    assert isinstance(second, AnswerServed)
    assert (first.owner, first.session_id, first.message_id) == ("alice", "s-1", "m-1")
    assert (first.kind, first.locale, first.occurred_at) == ("trending", "en", NOW)
    assert (first.question, first.traceparent) == ("what is popular", trace.decode())
    assert (second.owner, second.message_id) == ("", second.event_id)
    assert second.traceparent is None
    assert second.seq == first.seq + 1


@pytest.mark.parametrize("words", [("", "s", "m", "q"), ("alice", "s.1:x", "m", "新刊")])
def test_the_id_of_a_message_is_a_uuid_of_version_5(words: tuple[str, str, str, str]) -> None:
    namespace = UUID("6f1d7c9e-3c55-5a0e-9b1e-6d616e676131")
    assert event_id_of_message(*words) == str(uuid5(namespace, "\x1f".join(words)))


def test_a_message_that_is_sent_again_is_the_same_event(path: RequestPath) -> None:
    asked = {**QUESTION, "message_id": "m-1"}
    first, again = (path.ask(asked, ALICE).json["event_id"] for _ in range(2))
    assert first == again


def test_an_id_that_was_sent_with_another_message_is_refused(path: RequestPath) -> None:
    path.ask({**QUESTION, "message_id": "m-1"}, ALICE)
    other = {**QUESTION, "message": "new releases", "message_id": "m-1"}
    response = path.ask(other, ALICE)
    assert response.status == 422
    misfit = {"pointer": "#/message_id", "detail": response.json["detail"]}
    assert response.json["errors"] == [misfit]
    assert [event.question for event in answered(path)] == ["what is popular"]
    assert path.ask({**other, "message_id": "m-2"}, ALICE).status == 200
    assert path.ask({**QUESTION, "message_id": "m-1"}, ALICE).status == 200


def test_what_an_id_stood_for_is_of_its_user_and_session_alone(path: RequestPath) -> None:
    path.ask({**QUESTION, "message_id": "m-1"}, ALICE)
    other = {**QUESTION, "message": "new releases", "message_id": "m-1"}
    assert path.ask({**other, "session_id": "s-2"}, ALICE).status == 200
    assert path.ask(other, (b"authorization", b"Bearer bob")).status == 200


def test_strangers_with_the_same_short_ids_do_not_refuse_each_other(path: RequestPath) -> None:
    asked = {**QUESTION, "message_id": "m-1"}
    path.ask(asked)
    assert path.ask({**asked, "message": "new releases"}).status == 200
    own = {**asked, "session_id": "0d9be1f4-6c9f-4a5e-8f3b-0f4a8f1b7c55"}
    path.ask(own)
    assert path.ask({**own, "message": "new releases"}).status == 422


def test_a_process_that_does_not_know_the_id_makes_it_an_event_of_its_own(
    path: RequestPath,
) -> None:
    path.ask({**QUESTION, "message_id": "m-1"}, ALICE)
    path.chat.known = KnownMessages()
    path.ask({**QUESTION, "message": "new releases", "message_id": "m-1"}, ALICE)
    first, second = answered(path)
    assert (first.message_id, second.message_id) == ("m-1", "m-1")
    assert first.event_id != second.event_id


def test_only_the_latest_messages_are_known() -> None:
    known = KnownMessages(most=2)
    for number in range(3):
        known.require_same("", "s", f"m-{number}", "an event")
    known.require_same("", "s", "m-0", "another")
    with pytest.raises(Problem):
        known.require_same("", "s", "m-2", "another")


def answered(path: RequestPath) -> list[AnswerServed]:
    return [event for event in path.stock.events if isinstance(event, AnswerServed)]


def test_past_its_soft_expiry_an_answer_is_stale(path: RequestPath) -> None:
    path.stock.answers[TRENDING] = stored(age=901)
    assert path.ask(QUESTION).json["source"] == "stale"


def test_a_miss_gets_the_fallback(path: RequestPath) -> None:
    path.stock.answers[FALLBACK] = stored("fallback")
    reply = path.ask(QUESTION).json
    assert (reply["source"], reply["event_id"] != "") == ("fallback", True)


def test_a_chat_question_gets_the_fallback_however_old(path: RequestPath) -> None:
    path.stock.answers[FALLBACK] = stored("fallback", age=5000)
    reply = path.ask({**QUESTION, "message": "where is my order"}).json
    assert (reply["source"], reply["age_seconds"]) == ("fallback", 5000.0)


def test_with_nothing_in_redis_the_built_in_answer_is_made_now(path: RequestPath) -> None:
    response = path.ask(QUESTION)
    reply = msgspec.json.decode(response.answer, type=ChatReply)
    assert (reply.source, reply.answer.text, reply.age_seconds) == ("fallback", "built in", 0.0)
    assert len(path.stock.events) == 1


@pytest.mark.parametrize(
    "fault", [NotDone("refused"), WritesRefused("OOM"), Unknown("lost"), Late("late")]
)
def test_without_redis_the_answer_seen_last_is_served_as_stale_and_the_event_kept(
    path: RequestPath, fault: NotDone | Unknown
) -> None:
    path.stock.answers[TRENDING] = stored()
    assert path.ask(QUESTION).json["source"] == "precomputed"
    path.stock.fault = fault
    reply = path.ask(QUESTION).json
    assert (reply["source"], reply["version"]) == ("stale", 7)
    ((kind, event),) = path.sink.kept
    assert (kind, event.event_id) == ("answer.served", reply["event_id"])
    late = path.registry.sums.get(("budget_exceeded_total", "redis"), 0)
    assert late == isinstance(fault, Late)


def test_without_redis_and_without_memory_the_answer_is_built_in(path: RequestPath) -> None:
    path.stock.fault = NotDone("refused")
    response = path.ask(QUESTION)
    assert (response.status, response.json["source"]) == (200, "fallback")


def test_another_users_session_is_refused_and_nothing_is_lost(path: RequestPath) -> None:
    path.stock.fault = Refused("no")
    response = path.ask(QUESTION, ALICE)
    assert (response.status, response.json["status"]) == (403, 403)
    assert path.sink.kept == []


GOOD = stored()


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (b"", "truncated"),
        (b"{}", "truncated"),
        (GOOD[:20], "truncated"),
        (GOOD[: HEADER.size], "truncated"),
        (GOOD[:-1], "truncated"),
        (GOOD + b"x", "truncated"),
        (b"XXXX" + GOOD[4:], "format"),
        (b"MAA1" + GOOD[4:], "format"),
        (GOOD[:-5] + b"!!!!!", "checksum"),
        (GOOD[:9] + b"\x01" + GOOD[10:], "checksum"),
        (b"\xff" * len(GOOD), "format"),
        (stored(key=AnswerKey("genre", "action", "en")), "foreign_key"),
    ],
)
async def test_a_damaged_answer_counts_as_a_miss_and_is_mended(
    path: RequestPath, damaged: bytes, reason: str
) -> None:
    path.stock.answers[TRENDING] = damaged
    assert [path.ask(QUESTION).json["source"] for _ in range(3)] == ["fallback"] * 3
    await path.mending.settled()
    ((key, found, event),) = path.menders.mended
    assert (key, found) == (AnswerKey("trending", "", "en"), damaged)
    assert isinstance(event, AnswerFoundDamaged)
    assert (event.kind, event.locale, event.damage) == ("trending", "en", reason)
    assert path.registry.sums["answer_invalid_total", reason] == 1


async def test_damage_is_noticed_after_the_same_answer_was_seen_whole(path: RequestPath) -> None:
    path.stock.answers[TRENDING] = GOOD
    path.ask(QUESTION)
    path.stock.answers[TRENDING] = GOOD[:-5] + b"!!!!!"
    assert path.ask(QUESTION).json["source"] == "fallback"


async def test_what_cannot_be_mended_now_is_reported_again(path: RequestPath) -> None:
    path.stock.answers[TRENDING] = GOOD[:-1]
    path.menders.outcome = NotDone("no connection")
    for _ in range(2):
        assert path.ask(QUESTION).status == 200
        await path.mending.settled()
        await asyncio.sleep(0)
    assert len(path.menders.mended) == 2


async def test_a_key_of_a_wrong_type_is_mended_and_the_fallback_served(path: RequestPath) -> None:
    path.stock.complaint = Complaint(None, None, [TRENDING, FALLBACK])
    assert path.ask(QUESTION).json["source"] == "fallback"
    await path.mending.settled()
    assert [(key.kind, found) for key, found, _ in path.menders.mended] == [
        ("trending", b""),
        ("fallback", b""),
    ]
    assert path.sink.kept == []


async def test_what_redis_took_is_copied_before_the_response_and_what_it_refused_is_not(
    path: RequestPath,
) -> None:
    for answers in ({TRENDING: stored()}, {}):
        path.stock.answers = answers
        path.ask(QUESTION, ALICE)
    assert path.sink.copied == path.stock.events
    path.stock.complaint = Complaint(stored(), None, ["answer:other"])
    path.ask(QUESTION, ALICE)
    assert len(path.sink.copied) == 3
    path.stock.complaint = Complaint(stored(), NotDone("OOM"), [])
    path.ask(QUESTION, ALICE)
    for fault in (Refused("somebody else's"), Unknown("lost")):
        path.stock.fault = fault
        path.ask(QUESTION, ALICE)
    await path.mending.settled()
    assert (len(path.sink.copied), len(path.sink.kept)) == (3, 2)


def test_an_answer_whose_event_was_not_written_is_served_fresh_and_the_event_kept(
    path: RequestPath,
) -> None:
    path.stock.complaint = Complaint(GOOD, NotDone("OOM"), [])
    reply = path.ask(QUESTION).json
    assert reply["source"] == "precomputed"
    assert [event.event_id for _, event in path.sink.kept] == [reply["event_id"]]


def test_a_question_whose_event_has_no_place_is_refused(path: RequestPath) -> None:
    path.stock.fault, path.sink.is_full = NotDone("refused"), True
    response = path.ask(QUESTION)
    assert (response.status, response.json["status"]) == (429, 429)
    assert b"retry-after: 1\r\n" in response.lines


def test_past_its_hard_expiry_an_answer_is_not_served_from_memory(path: RequestPath) -> None:
    path.stock.answers[TRENDING] = stored(age=9001)
    assert path.ask(QUESTION).json["source"] == "stale"
    path.stock.fault = NotDone("refused")
    assert path.ask(QUESTION).json["source"] == "fallback"


def body(**fields: object) -> bytes:
    return json.dumps({**QUESTION, **fields}).encode()


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"nonsense", 400),
        (b"\xff\xfe{}", 400),
        (b'{"session_id":"s","message":"\xed\xa0\x80"}', 400),
        (b'{"session_id":"s","message":"\\ud800"}', 400),
        (b"[" * 100_000, 422),
        (b'{"session_id":' + b"[" * 50_000, 422),
        (b"[]", 422),
        (b"null", 422),
        (b'"text"', 422),
        (b"{}", 422),
        (body(session_id=5), 422),
        (body(session_id=""), 422),
        (body(session_id="a b"), 422),
        (body(session_id="a\n"), 422),
        (body(session_id="é"), 422),
        (body(session_id="a" * 129), 422),
        (body(session_id=None), 422),
        (body(message=""), 422),
        (body(message=" \u3000\t\n"), 422),
        (body(message="x" * 4001), 422),
        (body(message=["popular"]), 422),
        (body(message=7), 422),
        (body(locale="fr"), 422),
        (body(locale=1), 422),
        (body(message_id=""), 422),
        (body(message_id="a/b"), 422),
        (body(user_id="bob"), 422),
        (body(Message="x"), 422),
    ],
)
def test_what_does_not_fit_is_refused_with_a_problem_document(
    path: RequestPath, content: bytes, status: int
) -> None:
    response = path.ask(content)
    assert (response.status, response.json["status"]) == (status, status)
    assert b"content-type: application/problem+json\r\n" in response.lines
    assert path.stock.calls == 0
    assert path.registry.sums["problems_total", "chat", str(status)] == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"message": "popular " + "界" * 3992},
        {"message": "popular \x00\x1b[31m\u202e🧑\u200d🧑"},
        {"session_id": "A-z0.9_:" * 16},
        {"locale": None, "message_id": None},
    ],
)
def test_the_largest_and_strangest_that_fit_are_answered(
    path: RequestPath, fields: dict[str, object]
) -> None:
    path.stock.answers[TRENDING] = stored()
    assert path.ask(body(**fields)).json["source"] == "precomputed"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 415),
        ([(b"content-type", b"text/plain")], 415),
        ([(b"content-type", b"application/json; charset=latin-1")], 415),
        ([(b"content-type", b"application/json")] * 2, 400),
        ([(b"content-type", b"application/json"), ALICE, ALICE], 400),
        ([(b"content-type", b"application/json"), (b"authorization", b"Basic abc")], 401),
    ],
)
def test_headers_that_decide_something_must_be_right_and_single(
    path: RequestPath, headers: list[tuple[bytes, bytes]], status: int
) -> None:
    path.chat.gate = Gate(KeySet(""), issuer="", audience="")
    exchange = FakeExchange(body(), headers)
    dispatch(path.chat, exchange, path.meters.refused)
    assert exchange.status == status


def test_a_defect_is_a_problem_document_without_a_trace(path: RequestPath) -> None:
    def fail(message: str, locale: object) -> object:
        raise RuntimeError("secret detail")

    path.chat.classify = fail  # type: ignore[assignment]
    response = path.ask(QUESTION)
    assert response.status == 500
    assert b"secret" not in response.answer
