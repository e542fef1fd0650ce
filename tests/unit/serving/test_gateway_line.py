"""The line to a client that API Gateway holds: order, pieces, who has gone, and the end."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from domain.errors import Transient
from serving.asked import Asked
from serving.conversation_meters import ConversationMeters
from serving.frames import MessageFrame
from serving.gateway_line import Outgoing
from tests.unit.serving.fakes import request_path

LONG = 30.0
BODY = json.dumps({"answer": {"text": "all of it"}, "event_id": "e"}).encode()


class FakePosts:
    """`Posts`: what each connection was sent. The first post waits for `go`, and tells so."""

    def __init__(self) -> None:
        self.sent: list[dict[str, object]] = []
        self.is_gone = False
        self.fault: Transient | None = None
        self.began, self.go = threading.Event(), threading.Event()

    def post(self, _connection_id: str, frame: bytes) -> bool:
        self.began.set()
        assert self.go.wait(LONG)
        if self.fault is not None:
            raise self.fault
        if not self.is_gone:
            self.sent.append(json.loads(frame))
        return not self.is_gone

    def close(self, _connection_id: str) -> bool:
        return True


class Asking:
    """Lines over fake posts, and who was told of being abandoned."""

    def __init__(self) -> None:
        self.posts = FakePosts()
        self.forgotten: list[str] = []
        self.abandoned: list[str | None] = []
        counted = ConversationMeters(request_path().registry)
        self.outgoing = Outgoing(self.posts, counted, self._forget)

    async def _forget(self, connection_id: str) -> None:
        self.forgotten.append(connection_id)

    def ask(self, message_id: str, connection_id: str = "con") -> Asked:
        frame = MessageFrame(message="who?", message_id=message_id)
        asked = self.outgoing.line(connection_id).ask(frame, 0.0)
        asked.when_abandoned(lambda: self.abandoned.append(message_id))
        return asked


@asynccontextmanager
async def released(asking: Asking) -> AsyncIterator[None]:
    """Let the posts go once one of them waits and the body has run."""
    assert await asyncio.to_thread(asking.posts.began.wait, LONG)
    yield
    asking.posts.go.set()
    async with asyncio.timeout(LONG):
        await asking.outgoing.settled()


@pytest.fixture
async def asking() -> Asking:
    return Asking()


async def test_pieces_that_wait_go_out_as_one_and_say_of_which_message(asking: Asking) -> None:
    one, two = asking.ask("m-1"), asking.ask("m-2")
    one.token("a")
    async with released(asking):
        for text in "bcd":
            one.token(text)
        two.token("x")
        two.token("y")
        one.respond(200, b"", BODY)
        two.respond(200, b"", BODY)
    told = [(f["type"], f["message_id"], f.get("text")) for f in asking.posts.sent]
    assert told == [
        ("token", "m-1", "a"), ("token", "m-1", "bcd"), ("token", "m-2", "xy"),
        ("answer", "m-1", None), ("answer", "m-2", None),
    ]  # fmt: skip


async def test_what_a_client_asked_is_abandoned_once_it_has_gone(asking: Asking) -> None:
    asking.posts.is_gone = True
    asked = asking.ask("m-1")
    asking.ask("m-2")
    asked.token("a")
    async with released(asking):
        pass
    assert sorted(map(str, asking.abandoned)) == ["m-1", "m-2"]
    assert asking.forgotten == ["con"]


async def test_who_disconnects_abandons_its_own_questions_alone(asking: Asking) -> None:
    asking.ask("m-1")
    asking.ask("m-2", "other")
    asking.outgoing.left("con")
    asking.outgoing.left("unknown")
    assert asking.abandoned == ["m-1"]


async def test_a_failed_post_costs_a_piece_and_not_the_answer(asking: Asking) -> None:
    asking.posts.fault = Transient("throttled", dependency="apigateway")
    asked = asking.ask("m-1")
    asked.token("a")
    async with released(asking):
        pass
    asking.posts.fault = None
    asked.respond(200, b"", BODY)
    await asking.outgoing.settled()
    assert [frame["type"] for frame in asking.posts.sent] == ["answer"]
    assert asking.abandoned == []


async def test_the_end_waits_for_answers_that_are_being_made(asking: Asking) -> None:
    asking.posts.go.set()
    asked = asking.ask("m-1")
    drained = asyncio.create_task(asking.outgoing.drain(LONG, LONG))
    await asyncio.sleep(0)
    asked.respond(200, b"", BODY)
    async with asyncio.timeout(LONG):
        await drained
    assert [frame["type"] for frame in asking.posts.sent] == ["answer"]
    assert asking.abandoned == []


async def test_who_has_no_answer_at_the_end_is_to_connect_again(asking: Asking) -> None:
    asking.posts.go.set()
    asking.ask("m-1")
    await asking.outgoing.drain(0.0, LONG)
    (frame,) = asking.posts.sent
    assert (frame["code"], frame["message_id"]) == ("reconnect", "m-1")
    assert asking.abandoned == ["m-1"]


async def test_a_line_is_the_same_for_as_long_as_it_is_in_use(asking: Asking) -> None:
    asking.posts.go.set()
    asked = asking.ask("m-1")
    line = asking.outgoing.line("con")
    assert asking.outgoing.line("con") is line
    asked.respond(200, b"", BODY)
    await asking.outgoing.settled()
    assert asking.outgoing.line("con") is not line
