"""What a hit costs: one round trip to Redis, no other connection."""

import asyncio
import contextlib
from pathlib import Path

import msgspec
import redis

from adapters.msgpack_wire import decode_event
from config.settings import Settings
from domain.event_ids import event_id_of_message
from domain.events import AnswerServed, FeedbackGiven
from serving.models import ChatReply
from tests.integration.serving.client import Connection, chat, post
from tests.integration.serving.processes import Serving, token

HITS = 20
END = "the end of the recording"
BACKGROUND = ("TIME", "HGET answer_set:")


def sockets(serving: Serving) -> set[str]:
    links = set()
    for fd in Path(f"/proc/{serving.process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # a file of the spool was just closed
            links.add(str(fd.readlink()))
    return {link for link in links if link.startswith("socket:")}


def connections_logged(serving: Serving) -> int:
    return serving.log.read_text().count("a socket was connected")


def commands_until_end(client: redis.Redis, started: "asyncio.Future[None]") -> list[str]:
    found: list[str] = []
    with client.monitor() as monitor:  # type: ignore[no-untyped-call]
        started.get_loop().call_soon_threadsafe(started.set_result, None)
        for line in monitor.listen():
            if END in line["command"]:
                return found
            if line["client_type"] != "lua" and not line["command"].startswith(BACKGROUND):
                found.append(line["command"].split()[0])
    return found


async def test_a_hit_is_one_round_trip_and_opens_no_connection(serving: Serving) -> None:
    connection = await Connection.to(serving)
    await connection.send(chat("what's popular this week", "warm", token("alice")))
    sockets_before, logged_before = sockets(serving), connections_logged(serving)
    with serving.valkey.client() as recorder, serving.valkey.client() as client:
        client.ping()
        started = asyncio.get_running_loop().create_future()
        recording = asyncio.create_task(asyncio.to_thread(commands_until_end, recorder, started))
        await started
        for number in range(HITS):
            reply = await connection.send(
                chat("what's popular this week", f"s-{number}", token("alice"))
            )
            assert reply.headers["x-answer-source"] == "precomputed"
        client.echo(END)
        assert await recording == ["FCALL"] * HITS
    assert sockets(serving) == sockets_before
    assert connections_logged(serving) == logged_before
    await connection.close()


async def test_the_event_lies_in_the_outbox_when_the_answer_is_sent(serving: Serving) -> None:
    connection = await Connection.to(serving)
    question = "今週の人気"
    reply = await connection.send(chat(question, "outbox-1", token("alice"), message_id="m-1"))
    answer = msgspec.json.decode(reply.body, type=ChatReply)
    assert answer.event_id == event_id_of_message("alice", "outbox-1", "m-1", question)
    assert reply.headers["x-event-id"] == answer.event_id
    with serving.valkey.client() as client:
        ((_, fields),) = client.xrevrange("outbox:0", count=1)
    event = decode_event(fields[b"e"])
    assert isinstance(event, AnswerServed)
    assert (event.event_id, event.owner, event.kind) == (answer.event_id, "alice", "trending")
    assert fields[b"f"] == b"1"
    await connection.close()


async def test_a_session_belongs_to_who_opened_it(serving: Serving) -> None:
    connection = await Connection.to(serving)
    question = "what's popular this week"
    assert (await connection.send(chat(question, "own-1", token("alice")))).status == 200
    for foreign in (token("bob"), None):
        reply = await connection.send(chat(question, "own-1", foreign))
        assert (reply.status, reply.json["status"]) == (403, 403)
    assert (await connection.send(chat(question, "own-1", token("alice")))).status == 200
    with serving.valkey.client() as client:
        assert client.ttl("session_owner:own-1") > Settings().session_days * 86_400 - 60
    await connection.close()


async def test_feedback_is_written_for_the_owner_of_the_session_alone(serving: Serving) -> None:
    connection = await Connection.to(serving)
    alice, bob = token("alice"), token("bob")
    answered = await connection.send(chat("new releases", "feedback-1", alice))
    body = {"session_id": "feedback-1", "event_id": answered.json["event_id"], "signal": "up"}
    given = [await connection.send(post("/v1/feedback", body, alice)) for _ in range(2)]
    assert [reply.status for reply in given] == [202, 202]
    assert (await connection.send(post("/v1/feedback", body, bob))).status == 403
    nowhere = {**body, "session_id": "feedback-0"}
    assert (await connection.send(post("/v1/feedback", nowhere, alice))).status == 404
    with serving.valkey.client() as client:
        events = [decode_event(fields[b"e"]) for _, fields in client.xrange("outbox:0")]
    found = [event for event in events if isinstance(event, FeedbackGiven)]
    assert [event.event_id for event in found] == [reply.json["event_id"] for reply in given]
    assert {event.owner for event in found} == {"alice"}
    await connection.close()
