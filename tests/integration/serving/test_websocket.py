"""WebSocket as clients speak it, well and badly, to a real serving process."""

import asyncio
import base64
import json
import os
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import redis
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode

from adapters.msgpack_wire import decode_event
from domain.events import AnswerServed
from tests.integration.serving.client import Connection, chat
from tests.integration.serving.processes import (
    Serving,
    Valkey,
    start_serving,
    stop,
    token,
    wait_until,
)

QUESTION = {"type": "message", "message": "what's popular this week"}
SECONDS = 90.0
PATIENT = {
    "proxy": None, "open_timeout": SECONDS, "close_timeout": SECONDS, "ping_interval": None,
}  # fmt: skip


def open_to(
    serving: Serving, query: str = "?session_id=ws-1", **options: object
) -> AbstractAsyncContextManager[ClientConnection]:
    address = f"ws://127.0.0.1:{serving.port}/v1/ws{query}"
    return connect(address, compression=None, **PATIENT, **options)  # type: ignore[arg-type]


async def ask(client: ClientConnection, frame: object = None) -> dict[str, object]:
    await client.send(frame if isinstance(frame, str) else json.dumps(frame or QUESTION))
    return await heard(client)


async def heard(client: ClientConnection) -> dict[str, object]:
    found: dict[str, object] = json.loads(await asyncio.wait_for(client.recv(), SECONDS))
    return found


async def closed(client: ClientConnection) -> int:
    await asyncio.wait_for(client.wait_closed(), SECONDS)
    assert client.close_code is not None
    return client.close_code


async def test_an_answer_is_the_same_turn_over_http_and_websocket(serving: Serving) -> None:
    bearer = token("alice")
    connection = await Connection.to(serving)
    message = str(QUESTION["message"])
    http = await connection.send(chat(message, "ws-same", bearer, message_id="m-1"))
    async with open_to(serving, "?session_id=ws-same") as client:
        await client.send(json.dumps({"type": "auth", "token": bearer}))
        frame = await ask(client, {**QUESTION, "message_id": "m-1"})
    assert (frame["type"], frame["event_id"]) == ("answer", http.json["event_id"])
    assert frame["answer"] == http.json["answer"]
    with serving.valkey.client() as redis_client:
        events = [
            decode_event(fields[b"e"]) for _, fields in redis_client.xrange("outbox:0")
        ]  # fmt: skip
    same = [event for event in events if event.event_id == frame["event_id"]]
    assert len(same) == 2
    assert all(isinstance(event, AnswerServed) and event.owner == "alice" for event in same)
    await connection.close()


async def test_a_header_signs_in_as_well(serving: Serving) -> None:
    headers = {"Authorization": f"Bearer {token('dora')}"}
    async with open_to(serving, "?session_id=ws-dora", additional_headers=headers) as client:
        assert (await ask(client))["type"] == "answer"
    async with open_to(serving, "?session_id=ws-dora") as client:
        assert (await ask(client))["code"] == "forbidden"


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("?session_id=s", {"Origin": "https://evil.test"}, 403),
        ("?session_id=s", {"Origin": "null"}, 403),
        ("?session_id=s", {"Origin": "https://shop.test.evil.test"}, 403),
        ("?session_id=s", {"Origin": "http://shop.test"}, 403),
        ("?session_id=s", {"Authorization": "Bearer a.b.c"}, 401),
        ("?session_id=s", {"Authorization": "Basic YTpi"}, 401),
        ("", {}, 422),
        ("?session_id=", {}, 422),
        ("?session_id=a&session_id=b", {}, 422),
        ("?session_id=" + "a" * 129, {}, 422),
        ("?session_id=a%00b", {}, 422),
        ("?session_id=a%0d%0ab", {}, 422),
        ("/../chat?session_id=s", {}, 404),
    ],
)
async def test_a_handshake_that_may_not_be_is_refused(
    serving: Serving, query: str, headers: Mapping[str, str], status: int
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with open_to(serving, query, additional_headers=headers):
            pass
    response = refused.value.response
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert json.loads(response.body)["status"] == status


async def test_a_page_of_an_allowed_origin_may_connect(serving: Serving) -> None:
    async with open_to(serving, origin="https://shop.test") as client:
        assert (await ask(client))["type"] == "answer"


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        (("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8"), 400),
        (("Sec-WebSocket-Key: {key}\r\n", ""), 400),
        (("{key}", "c2hvcnQ="), 400),
        (("GET", "POST"), 405),
        (("Host: test", "Host: test\r\nOrigin: https://shop.test\r\nOrigin: https://x.test"), 400),
        (("Host: test", "Host: test\r\nAuthorization: a\r\nAuthorization: b"), 400),
    ],
    ids=["version", "no key", "short key", "method", "two origins", "two tokens"],
)
async def test_a_handshake_that_is_none_is_refused(
    serving: Serving, changed: tuple[str, str], status: int
) -> None:
    connection = await Connection.to(serving)
    reply = await connection.send(handshake(*changed))
    assert reply.status == status
    assert await asyncio.wait_for(connection.at_end(), SECONDS)
    await connection.close()


def handshake(old: str = "", new: str = "") -> bytes:
    lines = (
        "GET /v1/ws?session_id=raw HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    ).replace(old, new)
    return lines.replace("{key}", base64.b64encode(os.urandom(16)).decode()).encode()


async def length(connection: Connection) -> int:
    """The size of the data of a frame whose first byte has been read."""
    (size,) = await connection.reader.readexactly(1)
    return size if size < 126 else int.from_bytes(await connection.reader.readexactly(2), "big")


def framed(opcode: Opcode, data: bytes, *, fin: bool = True, mask: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=mask)


PING_FLOOD = framed(Opcode.PING, b"") * 101
EMPTY_FRAGMENTS = framed(Opcode.TEXT, b"{", fin=False) + framed(Opcode.CONT, b"", fin=False) * 101


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (framed(Opcode.BINARY, b"\x82\xa4type"), 1003),
        (framed(Opcode.TEXT, b'{"type":"message","message":"\xff"}'), 1007),
        (framed(Opcode.TEXT, b"\xed\xa0\x80"), 1007),
        (framed(Opcode.TEXT, b"x" * (32 * 1024 + 1)), 1009),
        (b"\x81\xff" + (2**62).to_bytes(8, "big") + b"mask", 1009),
        (framed(Opcode.TEXT, b"x" * 20_000, fin=False) + framed(Opcode.CONT, b"x" * 20_000), 1009),
        (framed(Opcode.TEXT, b"{}", mask=False), 1002),
        (framed(Opcode.CONT, b"{}"), 1002),
        (framed(Opcode.TEXT, b"{", fin=False) + framed(Opcode.TEXT, b"}"), 1002),
        (b"\x09\x81maskx", 1002),
        (b"\x89\xfe\x00\x7emask" + b"x" * 126, 1002),
        (b"\xc1\x80mask", 1002),
        (b"\x83\x80mask", 1002),
        (b"\x88\x81maskx", 1002),
        (framed(Opcode.CLOSE, (1005).to_bytes(2, "big")), 1002),
        (framed(Opcode.CLOSE, (999).to_bytes(2, "big")), 1002),
        (framed(Opcode.CLOSE, (1000).to_bytes(2, "big") + b"\xff"), 1007),
        (framed(Opcode.CLOSE, (1000).to_bytes(2, "big")), 1000),
        (PING_FLOOD, 1008),
        (framed(Opcode.PONG, b"?") * 101, 1008),
        (EMPTY_FRAGMENTS, 1008),
        (framed(Opcode.TEXT, b"{}") * 400, 1008),
    ],
    ids=[
        "binary", "not UTF-8", "surrogate", "too large", "huge length", "too large in pieces",
        "not masked", "nothing to continue", "text in text", "ping in pieces", "long ping",
        "reserved bit", "unknown opcode", "close of one byte", "reserved code", "code of old",
        "reason not UTF-8", "close", "ping flood", "pong flood", "fragment flood", "text flood",
    ],
)  # fmt: skip
async def test_what_is_no_frame_of_ours_ends_the_connection_with_its_code(
    serving: Serving, sent: bytes, code: int
) -> None:
    connection = await Connection.to(serving)
    assert (await connection.send(handshake())).status == 101
    connection.writer.write(sent)
    while (await asyncio.wait_for(connection.reader.readexactly(1), SECONDS)) != b"\x88":
        await connection.reader.readexactly(await length(connection))
    await connection.reader.readexactly(1)
    assert int.from_bytes(await connection.reader.readexactly(2), "big") == code
    await connection.abort()
    async with open_to(serving) as client:
        assert (await ask(client))["type"] == "answer"


async def test_a_question_in_pieces_with_a_ping_between_is_answered(serving: Serving) -> None:
    connection = await Connection.to(serving)
    assert (await connection.send(handshake())).status == 101
    text = json.dumps(QUESTION, ensure_ascii=False).encode()
    connection.writer.write(
        framed(Opcode.TEXT, text[:9], fin=False)
        + framed(Opcode.PING, b"alive?")
        + framed(Opcode.CONT, text[9:])
    )
    pong = await asyncio.wait_for(connection.reader.readexactly(2 + 6), SECONDS)
    assert pong == framed(Opcode.PONG, b"alive?", mask=False)
    assert await asyncio.wait_for(connection.reader.readexactly(1), SECONDS) == b"\x81"
    body = await connection.reader.readexactly(await length(connection))
    assert json.loads(body)["type"] == "answer"
    await connection.abort()


async def test_what_is_known_of_a_customer_is_read_when_a_connection_opens(
    serving: Serving,
) -> None:
    headers = {"Authorization": f"Bearer {token('alice')}"}
    with serving.valkey.client() as redis_client:
        redis_client.zadd("prefs:alice", {"locale:en": 1})
        redis_client.set("session_owner:in-table", "alice")
    wanted = {
        f'prefetch_total{{branch="{branch}",outcome="found"}}'
        for branch in ("session", "preferences", "interactions", "trending")
    }
    ends_at = time.monotonic() + SECONDS
    # On a busy machine a part may be late: then the next connection finds it.
    while not wanted <= await asyncio.to_thread(exposed, serving):
        assert time.monotonic() < ends_at, wanted
        async with open_to(serving, "?session_id=in-table", additional_headers=headers):
            await asyncio.sleep(0.3)


def exposed(serving: Serving) -> set[str]:
    """The metrics that have a value, without their prefix."""
    lines = serving.get("/metrics")[2].decode().splitlines()
    return {line.removeprefix("mangaassist_").rpartition(" ")[0] for line in lines}


async def test_compression_is_not_agreed_to(serving: Serving) -> None:
    address = f"ws://127.0.0.1:{serving.port}/v1/ws?session_id=deflate"
    async with connect(address, compression="deflate", **PATIENT) as client:  # type: ignore[arg-type]
        assert client.protocol.extensions == []
        assert (await ask(client))["type"] == "answer"


async def test_a_sixth_connection_of_a_user_is_refused(serving: Serving) -> None:
    headers = {"Authorization": f"Bearer {token('many')}"}
    opened = [await open_to(serving, additional_headers=headers).__aenter__() for _ in range(5)]
    with pytest.raises(InvalidStatus) as refused:
        async with open_to(serving, additional_headers=headers):
            pass
    assert refused.value.response.status_code == 429
    assert refused.value.response.headers["retry-after"]
    for client in opened:
        await client.close()
    async with open_to(serving, "?session_id=many", additional_headers=headers) as client:
        assert (await ask(client))["type"] == "answer"


async def test_sigterm_lets_answers_finish_and_has_clients_connect_again(
    valkey: Valkey, tmp_path: Path
) -> None:
    serving = start_serving(valkey, tmp_path)
    await asyncio.to_thread(wait_until, serving.ready, "the request path is ready")
    idle = await open_to(serving, "?session_id=idle").__aenter__()
    assert (await ask(idle))["type"] == "answer"
    stopping = asyncio.create_task(asyncio.to_thread(stop, serving))
    assert (await heard(idle))["code"] == "reconnect"
    assert await closed(idle) == 1012
    assert await stopping == 0
    assert "Traceback" not in serving.log.read_text()
    with pytest.raises((OSError, ConnectionClosed)):
        await open_to(serving).__aenter__()


async def test_without_redis_an_answer_comes_and_its_event_is_kept(
    tmp_path: Path,
) -> None:
    own = Valkey(tmp_path)
    own.start()
    own.publish()
    serving = start_serving(own, tmp_path)
    try:
        await asyncio.to_thread(wait_until, serving.ready, "the request path is ready")
        async with open_to(serving) as client:
            assert (await ask(client))["source"] == "precomputed"
            own.kill()
            frame = await ask(client)
            while frame["source"] != "stale":
                frame = await ask(client)
            assert frame["type"] == "answer"
    finally:
        await asyncio.to_thread(stop, serving)
        with pytest.raises(redis.ConnectionError), own.client() as gone:
            gone.ping()
