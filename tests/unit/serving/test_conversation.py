"""A conversation without a network: who speaks, what is refused, and in which order it answers."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from adapters.redis_serving import Complaint
from domain.answers import AnswerKey
from domain.errors import MangaAssistError, Refused
from domain.events import AnswerServed
from serving.asked import Asked
from serving.conversation import (
    AUTH_SECONDS,
    MAX_REFUSED,
    MAX_WAITING,
    MESSAGES,
    MESSAGES_SECONDS,
    Conversation,
)
from serving.frames import MessageFrame
from serving.problems import Problem
from serving.switchboard import MAX_OF_USER, TooManyConnections
from tests.unit.serving.fakes import FakeStock, stored
from tests.unit.serving.talk import FakeLine, Talk, auth, message, talk, text

TRENDING = AnswerKey("trending", "", "en").redis_key()
Found = Callable[[bytes | Complaint | MangaAssistError | None, bool], None]


class SlowStock(FakeStock):
    """Redis that answers when the test says so, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[Found] = []

    def serve(self, *, found: Found, **_rest: object) -> None:
        self.open.append(found)


@pytest.fixture
def site() -> Talk:
    made = talk()
    made.path.stock.answers[TRENDING] = stored()
    return made


@pytest.fixture
def slow(site: Talk) -> SlowStock:
    stock = SlowStock()
    chat = site.switchboard.chat
    chat.desk = replace(chat.desk, stock=stock)
    return stock


def codes(line: FakeLine) -> list[object]:
    return [frame.get("code", frame["type"]) for frame in line.sent]


def test_what_took_how_long_is_told_to_who_asks(site: Talk) -> None:
    conversation, line = site.begin("ann")
    frame = {"type": "message", "message": "what is popular", "timing": True}
    conversation.receive(text(frame))
    timing = str(line.sent[0]["server_timing"])
    assert "redis;dur=" in timing
    assert timing.rpartition(", ")[2].startswith("total;dur=")


def test_the_answer_is_that_of_http_in_a_frame(site: Talk) -> None:
    body = {"session_id": "s-1", "message": "what is popular", "message_id": "m-1"}
    http = site.path.ask(body, (b"authorization", b"Bearer alice")).json
    conversation, line = site.begin()
    conversation.receive(auth("alice"))
    conversation.receive(message())
    assert line.sent == [{"type": "answer", "message_id": "m-1", **http}]
    first, second = site.path.stock.events
    assert isinstance(first, AnswerServed)
    assert isinstance(second, AnswerServed)
    assert (second.owner, second.event_id) == ("alice", first.event_id)
    assert site.path.registry.sums[("requests_total", "ws", "precomputed")] == 1
    assert site.path.registry.sums[("ws_messages_total", "answered")] == 1


def test_an_id_that_was_sent_with_another_message_is_refused_and_the_talk_goes_on(
    site: Talk,
) -> None:
    body = {"session_id": "s-1", "message": "what is popular", "message_id": "m-1"}
    site.path.ask(body, (b"authorization", b"Bearer alice"))
    conversation, line = site.begin("alice")
    conversation.receive(message("new releases"))
    conversation.receive(message("new releases", message_id="m-2"))
    conversation.receive(message())
    assert codes(line) == ["invalid", "answer", "answer"]
    assert line.sent[0]["message_id"] == "m-1"
    assert len(site.path.stock.events) == 3


def test_a_message_as_the_first_frame_is_from_somebody_not_signed_in(site: Talk) -> None:
    conversation, line = site.begin()
    conversation.receive(message())
    conversation.receive(auth("alice"))
    conversation.receive(message(message_id="m-2"))
    assert codes(line) == ["answer", "invalid", "answer"]
    assert [event.owner for event in site.path.stock.events] == ["", ""]  # type: ignore[attr-defined]
    assert line.closed is None


def test_an_auth_frame_without_a_token_says_so_as_well(site: Talk) -> None:
    conversation, line = site.begin()
    conversation.receive(auth(None))
    site.wait(AUTH_SECONDS + 1)
    conversation.look()
    assert (conversation.user, line.sent, line.closed) == ("", [], None)


def test_whoever_does_not_say_who_speaks_is_shown_out(site: Talk) -> None:
    conversation, line = site.begin()
    site.wait(AUTH_SECONDS - 0.1)
    conversation.look()
    assert line.sent == []
    site.wait(0.1)
    conversation.look()
    assert (codes(line), line.closed) == (["unauthorized"], (1008, "auth_timeout"))


def test_a_wrong_token_ends_the_conversation(site: Talk) -> None:
    conversation, line = site.begin()
    conversation.receive(auth("not a user"))
    assert (codes(line), line.closed) == (["unauthorized"], (1008, "unauthorized"))
    with pytest.raises(Problem):
        site.begin("not a user")


def test_a_token_that_expires_ends_the_conversation_with_the_next_message(site: Talk) -> None:
    conversation, line = site.begin("alice:60")
    conversation.receive(message())
    site.wait(60)
    conversation.receive(message(message_id="m-2"))
    assert codes(line) == ["answer", "unauthorized"]
    assert line.closed == (1008, "token_expired")
    assert len(site.path.stock.events) == 1


def test_a_token_that_expires_ends_a_silent_conversation(site: Talk) -> None:
    conversation, line = site.begin("alice:60")
    site.wait(59)
    conversation.look()
    assert line.closed is None
    site.wait(1)
    conversation.look()
    assert line.closed == (1008, "token_expired")


def test_the_same_user_renews_a_token_and_nobody_else(site: Talk) -> None:
    conversation, line = site.begin("alice:60")
    conversation.receive(auth("alice:600"))
    site.wait(100)
    conversation.look()
    conversation.receive(message())
    assert codes(line) == ["answer"]
    conversation.receive(auth("bob:600"))
    assert (codes(line)[1:], line.closed) == (["forbidden"], (1008, "unauthorized"))


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"", "malformed"),
        (b"\x00", "malformed"),
        (b"[" * 30_000, "invalid"),
        (b'{"type":' * 4000, "malformed"),
        (b"null", "invalid"),
        (b"[]", "invalid"),
        (b"{}", "invalid"),
        (text({"type": "pickle"}), "invalid"),
        (text({"type": ["message"]}), "invalid"),
        (text({"type": "message"}), "invalid"),
        (text({"type": "message", "message": ""}), "invalid"),
        (text({"type": "message", "message": "\u3000 \n"}), "invalid"),
        (text({"type": "message", "message": "x" * 4001}), "invalid"),
        (text({"type": "message", "message": 7}), "invalid"),
        (text({"type": "message", "message": "a", "user": "bob"}), "invalid"),
        (text({"type": "message", "message": "a", "session_id": "s-2"}), "invalid"),
        (text({"type": "message", "message": "a", "message_id": "a\r\nb"}), "invalid"),
        (text({"type": "message", "message": "a", "message_id": "x" * 129}), "invalid"),
        (text({"type": "message", "message": "a", "locale": "xx"}), "invalid"),
        (text({"type": "auth", "token": 5}), "invalid"),
        (text({"type": "auth", "token": "x" * 8193}), "invalid"),
        (b'{"type":"message","message":"\\ud800"}', "malformed"),
        (b'{"type":"message","message":"a"}{}', "malformed"),
        (b'{"type":"message","message":NaN}', "malformed"),
    ],
)
def test_a_frame_that_is_none_is_refused_and_the_talk_goes_on(
    site: Talk, frame: bytes, code: str
) -> None:
    conversation, line = site.begin("alice")
    conversation.receive(frame)
    conversation.receive(message())
    assert codes(line) == [code, "answer"]
    assert site.path.registry.sums[("ws_messages_total", code)] == 1


@pytest.mark.parametrize(
    "question", ["a\x00b", "\x1b[31m", "\u202egnp.exe", "𠮷野家👨‍👩‍👧‍👦", "ﾜﾝﾋﾟｰｽ", "あ" * 4000]
)
def test_any_text_that_is_one_is_answered(site: Talk, question: str) -> None:
    conversation, line = site.begin("alice")
    conversation.receive(message(question))
    assert codes(line) == ["answer"]


def test_another_users_session_is_forbidden(site: Talk, slow: SlowStock) -> None:
    conversation, line = site.begin("mallory")
    conversation.receive(message())
    slow.open.pop()(Refused("foreign"), False)
    assert line.sent[0]["code"] == "forbidden"
    assert line.sent[0]["message_id"] == "m-1"


def test_answers_come_one_at_a_time_in_the_order_of_the_questions(
    site: Talk, slow: SlowStock
) -> None:
    conversation, line = site.begin("alice")
    for number in range(3):
        conversation.receive(message(message_id=f"m-{number}"))
    for number in range(3):
        assert len(slow.open) == 1
        assert len(line.sent) == number
        slow.open.pop()(stored(), False)
    assert [frame["message_id"] for frame in line.sent] == ["m-0", "m-1", "m-2"]


def test_pieces_of_an_answer_come_before_it_and_none_after(site: Talk, slow: SlowStock) -> None:
    conversation, line = site.begin("alice")
    conversation.receive(message())
    asked = conversation._under_way
    assert isinstance(asked, Asked)
    asked.token("ワン")
    asked.token("ピース")
    slow.open.pop()(stored(), False)
    asked.token("late")
    assert codes(line) == ["token", "token", "answer"]
    assert [frame.get("text") for frame in line.sent[:2]] == ["ワン", "ピース"]


def test_a_client_that_leaves_has_what_makes_its_answer_told_and_gets_nothing(
    site: Talk, slow: SlowStock
) -> None:
    conversation, line = site.begin("alice")
    conversation.receive(message())
    told: list[str] = []
    asked = conversation._under_way
    assert asked is not None
    asked.when_abandoned(lambda: told.append("gone"))
    conversation.receive(message(message_id="m-2"))
    conversation.leave()
    slow.open.pop()(stored(), False)
    assert (told, line.sent, slow.open) == (["gone"], [], [])


def test_more_messages_than_allowed_are_refused_until_time_has_passed(site: Talk) -> None:
    conversation, line = site.begin("alice")
    for number in range(MESSAGES + 1):
        conversation.receive(message(message_id=f"m-{number}"))
    assert codes(line) == ["answer"] * MESSAGES + ["too_many_messages"]
    site.wait(MESSAGES_SECONDS)
    conversation.receive(message(message_id="later"))
    assert codes(line)[-1] == "answer"


def test_a_client_that_goes_on_being_refused_is_shown_out(site: Talk) -> None:
    conversation, line = site.begin("alice")
    for _ in range(MESSAGES + MAX_REFUSED):
        conversation.receive(message())
    assert line.closed == (1008, "too_many_refused")


def test_no_more_than_a_few_questions_wait(site: Talk, slow: SlowStock) -> None:
    conversation, line = site.begin("alice")
    for number in range(MAX_WAITING + 2):
        conversation.receive(message(message_id=f"m-{number}"))
        site.wait(MESSAGES_SECONDS)
    assert codes(line) == ["busy"]


def test_draining_finishes_what_was_asked_then_has_the_client_connect_again(
    site: Talk, slow: SlowStock
) -> None:
    conversation, line = site.begin("alice")
    conversation.receive(message(message_id="m-1"))
    conversation.receive(message(message_id="m-2"))
    conversation.drain()
    conversation.drain()
    conversation.receive(message(message_id="m-3"))
    assert (codes(line), line.closed) == (["reconnect", "reconnect"], None)
    slow.open.pop()(stored(), False)
    assert line.closed is None
    slow.open.pop()(stored(), False)
    assert codes(line)[2:] == ["answer", "answer"]
    assert line.closed == (1012, "reconnect")


def test_draining_an_idle_conversation_ends_it(site: Talk) -> None:
    conversation, line = site.begin("alice")
    conversation.drain()
    assert (codes(line), line.closed) == (["reconnect"], (1012, "reconnect"))


def test_a_user_has_a_few_connections_and_gets_them_back(site: Talk) -> None:
    held: list[Conversation] = [site.begin("alice")[0] for _ in range(MAX_OF_USER)]
    with pytest.raises(TooManyConnections):
        site.begin("alice")
    conversation, line = site.begin()
    conversation.receive(auth("alice"))
    assert (codes(line), line.closed) == (["too_many_connections"], (1008, "too_many"))
    site.begin("bob")
    held.pop().leave()
    site.begin("alice")


def test_the_process_holds_so_many_connections_and_no_more() -> None:
    switchboard = talk(limit=1).switchboard
    switchboard.opened()
    with pytest.raises(TooManyConnections):
        switchboard.opened()
    switchboard.closed("client")
    switchboard.opened()


def test_what_is_known_of_a_customer_is_read_when_it_is_known_who_speaks(site: Talk) -> None:
    conversation, _ = site.begin()
    assert site.contexts.kept == []
    conversation.receive(auth("alice"))
    (context,) = site.contexts.kept
    assert (context.user, context.used) == ("alice", 0)
    conversation.receive(message())
    conversation.receive(auth("alice:600"))
    assert len(site.contexts.kept) == 1
    assert context.used == 1
    (turn,) = context.turns
    assert (turn.message_id, turn.question) == ("m-1", "what is popular")
    assert turn.answer_preview == "the trending answer"
    assert context.may_be_taken_back == [False]
    conversation.leave()
    assert context.is_dropped
    assert conversation.context is None


@pytest.mark.parametrize("source", ["model", "cache", "stale", "precomputed", "fallback"])
def test_only_an_answer_of_the_model_is_looked_at_again(site: Talk, source: str) -> None:
    conversation, _ = site.begin()
    conversation.receive(auth("alice"))
    (context,) = site.contexts.kept
    asked = conversation._under_way = Asked(conversation, MessageFrame(message="q"), 0.0)
    body = {"answer": {"text": "t"}, "source": source, "event_id": "e"}
    asked.respond(200, b"", json.dumps(body).encode())
    assert context.may_be_taken_back == [source in {"model", "cache", "stale"}]
