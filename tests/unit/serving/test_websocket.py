"""One WebSocket connection over a transport in memory: silence, unread answers and the end."""

import base64
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from websockets.frames import Frame, Opcode

from serving.websocket import (
    CLOSE_SECONDS,
    LIFE_SECONDS,
    MAX_UNREAD_BYTES,
    PING_SECONDS,
    WRITE_SECONDS,
    WebSocketProtocol,
    WebSockets,
)
from tests.unit.serving.talk import Talk, auth, message, talk

if TYPE_CHECKING:
    import asyncio

    from uvicorn.config import Config
    from uvicorn.server import ServerState

BEGINNING = 1000.0
HANDSHAKE = (
    b"GET /v1/ws?session_id=s-1 HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n"
    % base64.b64encode(bytes(16))
)


@dataclass
class FakeTransport:
    """What was written and what was asked for; `unread` bytes wait for the client."""

    written: list[bytes] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    unread: int = 0

    def set_write_buffer_limits(self, high: int) -> None:
        self.high = high

    def write(self, data: bytes) -> None:
        assert not self.asked or "close" not in self.asked
        self.written.append(data)

    def get_write_buffer_size(self) -> int:
        return self.unread

    def is_closing(self) -> bool:
        return bool({"close", "abort"} & set(self.asked))

    def close(self) -> None:
        self.asked.append("close")

    def abort(self) -> None:
        self.asked.append("abort")

    def pause_reading(self) -> None:
        self.asked.append("pause")

    def resume_reading(self) -> None:
        self.asked.append("resume")


@dataclass
class Client:
    """A connected client; `now` is the time of all that it does: that of the loop would pass."""

    site: Talk
    protocol: WebSocketProtocol
    transport: FakeTransport
    connections: set[object]
    now: float = BEGINNING

    def say(self, opcode: Opcode, data: bytes) -> None:
        self.protocol.data_received(Frame(opcode, data).serialize(mask=True))

    def ended(self) -> str:
        self.protocol.connection_lost(None)
        ((_, reason),) = [
            key for key in self.site.path.registry.sums if key[0] == "ws_closed_total"
        ]
        return reason


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(WebSocketProtocol, "_now", lambda _self: BEGINNING)
    site = talk()
    connections: set[object] = set()
    protocol = WebSocketProtocol(
        cast("Config", None),
        cast("ServerState", SimpleNamespace(connections=connections)),
        {"ws": WebSockets(site.switchboard, frozenset())},
    )
    transport = FakeTransport()
    protocol.connection_made(cast("asyncio.Transport", transport))
    protocol.data_received(HANDSHAKE)
    assert transport.written.pop().startswith(b"HTTP/1.1 101 ")
    made = Client(site, protocol, transport, connections)
    made.say(Opcode.TEXT, auth("alice:100000"))
    return made


async def test_connections_are_counted_while_they_are_open(client: Client) -> None:
    sums = client.site.path.registry.sums
    assert (sums[("ws_connections",)], client.connections) == (1, {client.protocol})
    assert client.ended() == "client"
    assert (sums[("ws_connections",)], client.connections) == (0, set())


async def test_a_silent_client_is_pinged_and_then_given_up(client: Client) -> None:
    client.protocol.close_if_overdue(client.now + PING_SECONDS - 1)
    assert client.transport.written == []
    client.protocol.close_if_overdue(client.now + PING_SECONDS)
    client.protocol.close_if_overdue(client.now + PING_SECONDS + 1)
    assert client.transport.written == [Frame(Opcode.PING, b"").serialize(mask=False)]
    client.protocol.close_if_overdue(client.now + 2 * PING_SECONDS)
    assert (client.transport.asked, client.ended()) == (["abort"], "silent")


async def test_a_client_that_answers_pings_stays(client: Client) -> None:
    client.protocol.close_if_overdue(client.now + PING_SECONDS)
    client.say(Opcode.PONG, b"")
    client.protocol.close_if_overdue(client.now + 2 * PING_SECONDS - 1)
    assert client.transport.asked == []


async def test_who_does_not_read_is_not_read_from_and_then_given_up(client: Client) -> None:
    client.protocol.pause_writing()
    client.protocol.close_if_overdue(client.now + WRITE_SECONDS - 1)
    assert client.transport.asked == ["pause"]
    client.protocol.close_if_overdue(client.now + WRITE_SECONDS)
    assert (client.transport.asked[1:], client.ended()) == (["abort"], "slow_reader")


async def test_who_reads_on_is_read_from_again(client: Client) -> None:
    client.protocol.pause_writing()
    client.protocol.resume_writing()
    client.protocol.close_if_overdue(client.now + WRITE_SECONDS)
    assert client.transport.asked == ["pause", "resume"]


async def test_too_much_unread_ends_the_connection_at_once(client: Client) -> None:
    client.transport.unread = MAX_UNREAD_BYTES + 1
    client.say(Opcode.TEXT, message())
    assert (client.transport.asked, client.ended()) == (["abort"], "slow_reader")


async def test_an_expired_token_is_noticed_without_a_message(client: Client) -> None:
    client.site.wait(100_000)
    client.protocol.close_if_overdue(client.now)
    assert client.transport.written[-1][2:4] == (1008).to_bytes(2, "big")
    assert client.ended() == "token_expired"


async def test_a_connection_has_a_longest_life(client: Client) -> None:
    later = client.now + LIFE_SECONDS
    client.protocol._heard_at = later
    client.protocol.close_if_overdue(later)
    assert b"reconnect" in client.transport.written[0]
    client.protocol.close_if_overdue(client.now + CLOSE_SECONDS)
    assert (client.transport.asked, client.ended()) == (["abort"], "reconnect")


async def test_a_client_that_closes_is_answered_and_closed(client: Client) -> None:
    client.say(Opcode.CLOSE, (1001).to_bytes(2, "big"))
    assert client.transport.written == [
        Frame(Opcode.CLOSE, (1001).to_bytes(2, "big")).serialize(mask=False)
    ]
    assert (client.transport.asked, client.ended()) == (["close"], "client")


async def test_nothing_is_written_to_a_client_that_has_gone(client: Client) -> None:
    client.transport.asked.append("abort")
    client.say(Opcode.TEXT, message())
    assert client.transport.written == []
