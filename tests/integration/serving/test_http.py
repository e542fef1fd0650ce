"""HTTP as clients speak it, well and badly, to the short way and the long one."""

import asyncio
import json
import time
from http import HTTPStatus

import msgspec
import pytest

from adapters.redis_sessions import encode_history
from domain.sessions import Session, Turn
from serving.models import ChatReply, InteractionsReply, Readiness, SessionReply
from serving.problems import ProblemDocument
from tests.integration.serving.client import Connection, chat, post
from tests.integration.serving.processes import Serving, token

QUESTION = b'{"session_id":"http-1","message":"new releases"}'
SECURITY = {"x-content-type-options": "nosniff", "cache-control": "no-store"}


def view(number: int, user: str = "alice") -> dict[str, object]:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {
        "event_id": f"http-{number}",
        "type": "view",
        "item_id": "t1",
        "user_id": user,
        "occurred_at": now,
    }


async def test_pipelined_requests_are_answered_in_their_order(serving: Serving) -> None:
    connection = await Connection.to(serving)
    health = b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n"
    questions = [chat("new releases", "pipeline", message_id=f"m-{number}") for number in range(5)]
    mixed = [questions[0], health, questions[1], questions[2], health, questions[3], questions[4]]
    connection.writer.write(b"".join(mixed))
    replies = [await connection.read() for _ in mixed]
    bodies = [reply.json for reply in replies]
    assert [body.get("status") == "ok" for body in bodies] == [
        request is health for request in mixed
    ]
    ids = [body["event_id"] for body in bodies if "event_id" in body]
    again = [(await connection.send(question)).json["event_id"] for question in questions]
    assert ids == again
    await connection.close()


HEAD = b"POST /v1/chat HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(QUESTION)


@pytest.mark.parametrize(
    "request_bytes",
    [
        HEAD + LENGTH + b"\r\n" + QUESTION,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
        + b"".join(b"1\r\n%c\r\n" % byte for byte in QUESTION) + b"0\r\n\r\n",
        HEAD.replace(b"/v1/chat", b"/v1/chat?source=widget") + LENGTH + b"\r\n" + QUESTION,
        HEAD.replace(b"/v1/chat", b"http://test/v1/chat") + LENGTH + b"\r\n" + QUESTION,
        HEAD + LENGTH + b"Upgrade: h2c\r\n\r\n" + QUESTION,
        HEAD.replace(b"/json", b"/JSON; charset=utf-8") + LENGTH + b"\r\n" + QUESTION,
    ],
    ids=["plain", "chunked", "query", "absolute", "upgrade", "charset"],
)  # fmt: skip
async def test_every_way_to_send_a_question_is_answered(
    serving: Serving, request_bytes: bytes
) -> None:
    connection = await Connection.to(serving)
    for _ in range(2):
        reply = await connection.send(request_bytes)
        assert reply.status == 200
        msgspec.json.decode(reply.body, type=ChatReply)
        assert reply.headers["content-type"] == "application/json"
        assert reply.headers.items() >= SECURITY.items()
        assert "date" in reply.headers
    await connection.close()


async def test_a_client_may_wait_for_100_continue(serving: Serving) -> None:
    connection = await Connection.to(serving)
    connection.writer.write(HEAD + LENGTH + b"Expect: 100-continue\r\n\r\n")
    assert await connection.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert (await connection.send(QUESTION)).status == 200
    await connection.close()


async def test_a_question_may_come_byte_by_byte(serving: Serving) -> None:
    connection = await Connection.to(serving)
    for byte in HEAD + LENGTH + b"\r\n" + QUESTION:
        connection.writer.write(bytes([byte]))
        await asyncio.sleep(0)
    assert (await connection.read()).status == 200
    await connection.close()


@pytest.mark.parametrize("head", [HEAD + b"Connection: close\r\n", HEAD.replace(b"1.1", b"1.0")])
async def test_a_connection_closes_where_the_client_says_so(serving: Serving, head: bytes) -> None:
    connection = await Connection.to(serving)
    reply = await connection.send(head + LENGTH + b"\r\n" + QUESTION)
    assert (reply.status, reply.headers["connection"]) == (200, "close")
    assert await connection.at_end()
    await connection.close()


BAD: dict[str, tuple[bytes, int]] = {
    "wrong JSON": (post("/v1/chat", b"{nope"), 400),
    "not UTF-8": (post("/v1/chat", b'{"session_id":"a","message":"\xff"}'), 400),
    "empty": (post("/v1/chat", b""), 400),
    "deep": (post("/v1/chat", b'{"session_id":' + b"[" * 20_000), 422),
    "unknown field": (chat("hi", "a", user="bob"), 422),
    "wrong type": (chat("hi", "a", message_id=5), 422),
    "long message": (chat("x" * 4001, "a"), 422),
    "content type": (post("/v1/chat", QUESTION, None, "Content-Type: text/plain"), 415),
    "form": (
        post("/v1/chat", b"a=b", None, "Content-Type: application/x-www-form-urlencoded"),
        415,
    ),
    "two content types": (
        HEAD + b"Content-Type: application/json\r\n" + LENGTH + b"\r\n" + QUESTION,
        400,
    ),
    "two tokens": (
        HEAD + LENGTH + b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n" + QUESTION,
        400,
    ),
    "bad token": (chat("hi", "a", "a.b.c"), 401),
    "1 MB question": (post("/v1/chat", b" " * 1_000_000), 413),
    "1 MB of events": (post("/v1/events", b" " * 1_000_000, token("alice")), 413),
    "1 MB, the long way": (post("/v1/events?x", b" " * 1_000_000, token("alice")), 413),
    "events without token": (post("/v1/events", {"events": [view(1)]}), 401),
    "501 events": (post("/v1/events", {"events": [{}] * 501}, token("alice")), 422),
    "another method": (b"GET /v1/chat HTTP/1.1\r\nHost: test\r\n\r\n", 405),
    "DELETE": (b"DELETE /v1/events HTTP/1.1\r\nHost: test\r\n\r\n", 405),
    "POST where GET is": (post("/healthz", b"{}"), 405),
    "no such path": (post("/v1/chats", QUESTION), 404),
    "path traversal": (b"GET /../../etc/passwd HTTP/1.1\r\nHost: test\r\n\r\n", 404),
    "sessions without token": (b"GET /v1/sessions/x HTTP/1.1\r\nHost: test\r\n\r\n", 401),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_request_gets_a_problem_document_and_the_next_one_its_answer(
    serving: Serving, name: str
) -> None:
    content, status = BAD[name]
    connection = await Connection.to(serving)
    reply = await connection.send(content)
    assert reply.status == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers.items() >= SECURITY.items()
    problem = msgspec.json.decode(reply.body, type=ProblemDocument)
    assert (problem.status, problem.title) == (status, HTTPStatus(status).phrase)
    assert b"Traceback" not in reply.body
    assert (await connection.send(chat("new releases", "http-1"))).status == 200
    await connection.close()


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"POST /v1/chat HTTP/9.9\r\n\r\n", 400),
        (HEAD + b"Content-Length: -1\r\n\r\n", 400),
        (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}", 400),
        (HEAD + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nXYZ\r\n", 400),
        (HEAD + b"X-Null: a\x00b\r\n" + LENGTH + b"\r\n", 400),
        (HEAD + b"X: " + b"y" * 40_000, 431),
        (b"GET /" + b"y" * 40_000, 431),
    ],
)
async def test_what_is_no_http_is_refused_and_the_connection_closed(
    serving: Serving, content: bytes, status: int
) -> None:
    connection = await Connection.to(serving)
    reply = await connection.send(content)
    assert (reply.status, reply.json["status"]) == (status, status)
    assert await connection.at_end()
    await connection.close()


async def test_events_are_confirmed_and_wrong_ones_named(serving: Serving) -> None:
    connection = await Connection.to(serving)
    events = [*(view(number) for number in range(499)), view(500, "bob")]
    reply = await connection.send(post("/v1/events", {"events": events}, token("alice")))
    confirmed = msgspec.json.decode(reply.body, type=InteractionsReply)
    assert (reply.status, confirmed.accepted) == (202, 499)
    assert [one.index for one in confirmed.rejected] == [499]
    everybody = token("shop", "events:write")
    reply = await connection.send(post("/v1/events", {"events": [view(1, "bob")]}, everybody))
    assert reply.json == {"accepted": 1, "rejected": []}
    await connection.close()


def test_a_session_is_its_owners_alone(serving: Serving) -> None:
    turn = Turn("e-1", "m-1", "what is new?", "these", 1_800_000_000.0)
    copy = encode_history(Session("page-1", "alice", {"e-1": turn}))
    with serving.valkey.client() as client:
        client.set("session_history:page-1", copy, ex=60)
        client.set("session_history:broken", b"{}", ex=60)
    for session_id in ("page-1", "in-table"):
        status, headers, body = serving.get(f"/v1/sessions/{session_id}", token("alice"))
        assert (status, "server-timing" in headers) == (200, True)
        assert len(msgspec.json.decode(body, type=SessionReply).turns) == 1
        assert serving.get(f"/v1/sessions/{session_id}", token("bob"))[0] == 404
    for session_id in ("none", "broken", "a%20b", "x" * 129):
        assert serving.get(f"/v1/sessions/{session_id}", token("alice"))[0] == 404


def test_health_readiness_metrics_and_the_document(serving: Serving) -> None:
    assert serving.get("/healthz")[0] == 200
    readiness = msgspec.json.decode(serving.get("/readyz")[2], type=Readiness)
    assert readiness.ready
    assert readiness.catalogue
    metrics = serving.get("/metrics")[2].decode()
    for name in ("requests_total", "request_seconds_bucket", "answer_age_seconds_bucket",
                 "segment_seconds_bucket", "redis_up 1", "catalogue_titles 20",
                 "jwks_age_seconds "):  # fmt: skip
        assert f"mangaassist_{name}" in metrics
    document = json.loads(serving.get("/openapi.json")[2])
    assert document["openapi"] == "3.1.0"
    assert set(document["paths"]) == {
        "/v1/chat", "/v1/events", "/v1/feedback", "/v1/recommendations",
        "/v1/sessions/{session_id}", "/v1/ws", "/healthz", "/readyz", "/metrics", "/openapi.json",
    }  # fmt: skip
    text = json.dumps(document)
    for reference in set(text.split('"#/components/schemas/')[1:]):
        assert reference.split('"')[0] in document["components"]["schemas"]


@pytest.mark.parametrize("path", ["/v1/chat", "/v1/chat?long=way"])
async def test_only_allowed_origins_may_read(serving: Serving, path: str) -> None:
    connection = await Connection.to(serving)
    for origin, allowed in (("https://shop.test", True), ("https://evil.test", False)):
        reply = await connection.send(post(path, QUESTION, None, f"Origin: {origin}"))
        assert (reply.headers.get("access-control-allow-origin") == origin) is allowed
        preflight = (
            f"OPTIONS {path} HTTP/1.1\r\nHost: test\r\nOrigin: {origin}\r\n"
            "Access-Control-Request-Method: POST\r\n"
            "Access-Control-Request-Headers: authorization,content-type\r\n\r\n"
        )
        answer = await connection.send(preflight.encode())
        assert (answer.headers.get("access-control-allow-origin") == origin) is allowed
    await connection.close()


async def test_slow_clients_are_closed_and_the_others_served(serving: Serving) -> None:
    async def closed_after(*pieces: bytes) -> bool:
        connection = await Connection.to(serving)
        for piece in pieces:
            connection.writer.write(piece)
            await asyncio.sleep(0.1)
        async with asyncio.timeout(90):
            ended = await connection.at_end()
        await connection.close()
        return ended

    slow = [
        closed_after(),
        closed_after(b"POST /v1/chat HT"),
        closed_after(HEAD),
        closed_after(HEAD + LENGTH + b"\r\n", QUESTION[:5]),
        closed_after(HEAD.replace(b"chat", b"chat?x") + LENGTH + b"\r\n", QUESTION[:5]),
    ]
    waiting = asyncio.gather(*slow)
    connection = await Connection.to(serving)
    assert (await connection.send(chat("new releases", "http-1"))).status == 200
    assert await waiting == [True] * len(slow)
    assert (await connection.send(chat("new releases", "http-1"))).status == 200
    await connection.close()
