"""A closed loop over plain sockets: each connection sends its next request when it has an answer.

As little work as possible for each response, since it shares its core with Valkey: one epoll, no
event loop, no HTTP library. Every response is checked.
"""

import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.machine import pinned
from bench.processes import HOST
from bench.servers import DEGRADED, Exchange

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"
_RECEIVE_BYTES = 256 * 1024
_SILENCE_SECONDS = 10.0
_MAX_WRONG = 100


class BrokenLoadError(RuntimeError):
    """A server closed a connection, or stopped answering."""


@dataclass(frozen=True, slots=True)
class Load:
    """What came of one round; `wrong` says what was wrong with responses."""

    requests: int
    seconds: float
    p50_seconds: float
    p99_seconds: float
    wrong: Sequence[str]
    degraded: int


@dataclass(slots=True)
class _Client:
    connection: socket.socket
    turn: int
    sent_at: float = 0.0
    received: bytes = b""


@dataclass(slots=True)
class _Tally:
    latencies: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    degraded: int = 0


def generate(
    port: int,
    exchanges: Sequence[Exchange],
    connections: int,
    seconds: float,
    cores: frozenset[int],
) -> Load:
    """Load a server on this host; raises BrokenLoadError."""
    # Spread out, so that no two connections ask the same thing soon after each other.
    stride = max(1, len(exchanges) // connections)
    clients = [_Client(_connect(port), turn * stride) for turn in range(connections)]
    tally = _Tally()
    try:
        with pinned(cores):
            started = time.perf_counter()
            _loop(clients, exchanges, started + seconds, tally)
            elapsed = time.perf_counter() - started
    finally:
        for client in clients:
            client.connection.close()
    latencies = sorted(tally.latencies)
    return Load(
        requests=len(latencies),
        seconds=elapsed,
        p50_seconds=percentile(latencies, 0.50),
        p99_seconds=percentile(latencies, 0.99),
        wrong=tally.wrong,
        degraded=tally.degraded,
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that this share of all does not exceed; NaN of nothing."""
    if not ordered:
        return float("nan")
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def _connect(port: int) -> socket.socket:
    connection = socket.create_connection((HOST, port), timeout=_SILENCE_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _loop(
    clients: Sequence[_Client], exchanges: Sequence[Exchange], until: float, tally: _Tally
) -> None:
    """Everybody sends, then each answer is followed by the next request, until the time is up.

    The last answers are waited for, so that nothing is under way when the round ends.
    """
    by_descriptor = {client.connection.fileno(): client for client in clients}
    poll = select.epoll()
    for descriptor, client in by_descriptor.items():
        poll.register(descriptor, select.EPOLLIN)
        _send(client, exchanges)
    waiting = len(clients)
    while waiting:
        ready = poll.poll(_SILENCE_SECONDS)
        if not ready:
            raise BrokenLoadError(f"{waiting} requests were not answered")
        for descriptor, _ in ready:
            client = by_descriptor[descriptor]
            if not _receive(client, exchanges, tally):
                continue
            if time.perf_counter() < until:
                _send(client, exchanges)
            else:
                waiting -= 1
    poll.close()


def _send(client: _Client, exchanges: Sequence[Exchange]) -> None:
    client.sent_at = time.perf_counter()
    client.connection.sendall(exchanges[client.turn % len(exchanges)].request)


def _receive(client: _Client, exchanges: Sequence[Exchange], tally: _Tally) -> bool:
    """Take what has come; whether the response is whole."""
    data = client.connection.recv(_RECEIVE_BYTES)
    if not data:
        raise BrokenLoadError("a connection was closed before its answer had come")
    client.received = client.received + data if client.received else data
    parts = split(client.received)
    if parts is None:
        return False
    tally.latencies.append(time.perf_counter() - client.sent_at)
    fault = exchanges[client.turn % len(exchanges)].check(*parts)
    if fault == DEGRADED:
        tally.degraded += 1
    elif fault is not None and len(tally.wrong) < _MAX_WRONG:
        tally.wrong.append(fault)
    client.received = b""
    client.turn += 1
    return True


def split(received: bytes) -> tuple[bytes, bytes] | None:
    """Head and body of a response with a Content-Length; None until it is whole.

    Raises BrokenLoadError for more bytes than one response, or a response without a length.
    """
    head_bytes = received.find(_HEAD_END)
    if head_bytes < 0:
        return None
    head = received[:head_bytes]
    lowered = head.lower()
    at = lowered.find(_LENGTH)
    if at < 0:
        raise BrokenLoadError(f"a response without a length: {head[:200]!r}")
    length = int(lowered[at + len(_LENGTH) :].split(b"\r\n", 1)[0])
    body = received[head_bytes + len(_HEAD_END) :]
    if len(body) > length:
        raise BrokenLoadError("more bytes than one response has")
    return (head, body) if len(body) == length else None
