"""Customers who come at a steady pace, whether or not those before them have been answered.

A request's time is counted from when it was due, so that a server that stalls is charged for those
who had to wait behind. Every response is checked, and the id of its event remembered.
"""

import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.generator import percentile, split
from bench.processes import HOST
from bench.servers import DEGRADED, Exchange

CONNECTIONS = 8
ANSWER_SECONDS = 10.0

_RECEIVE_BYTES = 256 * 1024
_EVENT_ID = b"x-event-id: "


@dataclass(slots=True)
class Phase:
    """What customers got in a part of the time."""

    latencies: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    degraded: int = 0

    def percentile_ms(self, share: float) -> float:
        """A latency in milliseconds."""
        return 1000 * percentile(sorted(self.latencies), share)


class Customers:
    """Threads with a connection each; they come until `leave`."""

    def __init__(self, port: int, exchanges: Sequence[Exchange], per_second: int) -> None:
        self._port = port
        self._exchanges = exchanges
        self._pause = CONNECTIONS / per_second
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._phase = Phase()
        self._event_ids: list[str] = []
        self._threads = [
            threading.Thread(target=self._come, args=(number,)) for number in range(CONNECTIONS)
        ]

    def come(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def next_phase(self) -> Phase:
        """What was until now; from now on it is another phase."""
        with self._lock:
            ended, self._phase = self._phase, Phase()
        return ended

    def event_ids(self) -> list[str]:
        """The events of all answers so far."""
        with self._lock:
            return list(self._event_ids)

    def leave(self) -> None:
        """Come no more."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _come(self, number: int) -> None:
        began = time.perf_counter() + self._pause * number / CONNECTIONS
        turn = 0
        link: socket.socket | None = None
        while not self._over.is_set():
            due = began + turn * self._pause
            self._over.wait(max(0.0, due - time.perf_counter()))
            exchange = self._exchanges[(number + turn * CONNECTIONS) % len(self._exchanges)]
            turn += 1
            try:
                link = link or _connected(self._port)
                link.sendall(exchange.request)
                self._note(exchange, *_response(link), due)
            except OSError as error:
                self._fail(repr(error))
                link = None
        if link is not None:
            link.close()

    def _note(self, exchange: Exchange, head: bytes, body: bytes, due: float) -> None:
        took = time.perf_counter() - due
        wrong = exchange.check(head, body)
        at = head.lower().find(_EVENT_ID) + len(_EVENT_ID)
        with self._lock:
            self._phase.latencies.append(took)
            self._event_ids.append(head[at:].split(b"\r\n", 1)[0].decode())
            if wrong == DEGRADED:
                self._phase.degraded += 1
            elif wrong is not None:
                self._phase.failed.append(wrong)

    def _fail(self, why: str) -> None:
        with self._lock:
            self._phase.failed.append(why)


def _connected(port: int) -> socket.socket:
    link = socket.create_connection((HOST, port), timeout=ANSWER_SECONDS)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return link


def _response(link: socket.socket) -> tuple[bytes, bytes]:
    received = b""
    while (parts := split(received)) is None:
        data = link.recv(_RECEIVE_BYTES)
        if not data:
            raise ConnectionError("closed before its answer had come")
        received += data
    return parts
