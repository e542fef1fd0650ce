"""One ReceiveMessage over kombu's curl client: bounded in time, answered by a value, never raising.

kombu 5.7.0 sets no timeout on the long poll, turns a 5xx into a list that it then takes for a
mapping, and raises in the event loop for a 4xx. Knows no queue's state and no message's meaning.
"""

import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pycurl
from kombu.asynchronous.aws.connection import AsyncHTTPSConnection
from kombu.asynchronous.aws.ext import get_response
from kombu.asynchronous.aws.sqs.connection import AsyncSQSConnection
from kombu.asynchronous.http.curl import CurlClient
from kombu.asynchronous.hub import Hub
from vine import promise

from workers.sqs_requests import EXPIRED

CONNECT_TIMEOUT_SECONDS = 2.0
KEEPALIVE_SECONDS = 3
KEEPALIVE_PROBE_SECONDS = 1
MAX_CLIENTS = 32
"""Long polls at a time; kombu's ten let the eleventh queue wait for the others."""

ATTRIBUTES = ["ApproximateReceiveCount", "SentTimestamp"]

_CODE = re.compile(r"[A-Za-z0-9._]{1,64}")
_CURL_CODES = {
    pycurl.E_COULDNT_RESOLVE_HOST: "dns",
    pycurl.E_COULDNT_CONNECT: "connect",
    pycurl.E_OPERATION_TIMEDOUT: "timeout",
    pycurl.E_RECV_ERROR: "reset",
    pycurl.E_SEND_ERROR: "reset",
    pycurl.E_GOT_NOTHING: "reset",
    pycurl.E_PARTIAL_FILE: "reset",
}


@dataclass(frozen=True, slots=True)
class Received:
    """What SQS gave: its own records, unchecked."""

    messages: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Failed:
    """The request failed; `code` is AWS's or, without an answer, what curl met."""

    code: str


Outcome = Received | Failed


class BoundedCurlClient(CurlClient):
    """kombu's client with timeouts, keepalive, and timers in the unit that curl asks for."""

    _fds: dict[int, int]
    _timer: Any = None
    _timeout_check: Callable[[], None]

    def _setup_request(self, curl: Any, request: Any, buffer: Any, headers: Any) -> None:
        super()._setup_request(curl, request, buffer, headers)  # type: ignore[misc]
        connect = min(CONNECT_TIMEOUT_SECONDS, request.request_timeout)
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.TIMEOUT_MS, int(request.request_timeout * 1000))
        curl.setopt(pycurl.CONNECTTIMEOUT_MS, int(connect * 1000))
        curl.setopt(pycurl.TCP_KEEPALIVE, 1)
        curl.setopt(pycurl.TCP_KEEPIDLE, KEEPALIVE_SECONDS)
        curl.setopt(pycurl.TCP_KEEPINTVL, KEEPALIVE_PROBE_SECONDS)
        curl.setopt(pycurl.SOCKOPTFUNCTION, _give_up_on_a_silent_peer)

    def close(self) -> None:
        """Answer the requests whose answers have come already, and drop the others."""
        for fd in list(self._fds):
            self.on_readable(fd)
        self._fds.clear()
        super().close()

    def _set_timeout(self, msecs: int) -> None:
        # kombu hands curl's milliseconds to call_later, which takes seconds.
        if msecs == 0:
            # Also kombu's own nudge for a new request: curl's timer has to outlive it.
            self.hub.call_later(0, self._timeout_check)
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.hub.call_later(msecs / 1000, self._timeout_check) if msecs > 0 else None


def _give_up_on_a_silent_peer(fd: int, _purpose: int) -> int:
    # Keepalive alone would allow nine unanswered probes.
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        with socket.socket(fileno=fd) as borrowed:
            try:
                limit_ms = 1000 * (KEEPALIVE_SECONDS + 2 * KEEPALIVE_PROBE_SECONDS)
                borrowed.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, limit_ms)
            except OSError:
                pass  # not TCP: the total timeout holds all the same
            finally:
                borrowed.detach()
    return 0


class Receiver(AsyncSQSConnection):
    """Asks SQS for messages and reports one Outcome per request."""

    def __init__(self, sqs_client: Any, hub: Hub, renewed: Callable[[], Any]) -> None:
        self._renewed = renewed
        self._curl = BoundedCurlClient(hub, max_clients=MAX_CLIENTS)
        self._timeout_seconds = 0.0
        super().__init__(
            sqs_client, message_system_attribute_names=ATTRIBUTES, http_client=self._curl
        )

    def receive(
        self,
        url: str,
        count: int,
        *,
        wait_seconds: int,
        timeout_seconds: float,
        visibility_timeout: int,
        done: Callable[[Outcome], None],
    ) -> None:
        """Start one request; may raise while signing, before anything is sent."""
        self._timeout_seconds = timeout_seconds
        self.receive_message(
            url,  # type: ignore[arg-type]
            url,
            number_messages=count,
            visibility_timeout=visibility_timeout,
            wait_time_seconds=wait_seconds,
            callback=promise(done),
        )

    def close(self) -> None:
        """End every request under way; only one whose answer is here already is called back."""
        self._curl.close()

    def get_http_connection(self) -> AsyncHTTPSConnection:
        """Make the connection object that carries this request's time limit to curl."""
        return AsyncHTTPSConnection(timeout=self._timeout_seconds, http_client=self._curl)

    def _on_list_ready(
        self, _parent: object, _markers: object, operation: str, response: Any
    ) -> Outcome:
        http = response.response
        errno = getattr(http.error, "errno", None)
        if errno is not None:
            return Failed(_CURL_CODES.get(errno, f"curl_{errno}"))
        try:
            model = self.sqs_connection.meta.service_model.operation_model(operation)
            _, parsed = get_response(model, http)
            outcome = _outcome(http.code, parsed)
            if isinstance(outcome, Failed) and outcome.code in EXPIRED:
                self.sqs_connection = self._renewed()
        except Exception:  # whatever a broken answer does to the parser
            return Failed(f"unreadable_{http.code}")
        return outcome


def _outcome(status: int, parsed: Mapping[str, Any]) -> Outcome:
    if status == 200:  # noqa: PLR2004
        messages = parsed.get("Messages") or []
        return Received([m for m in messages if m.get("ReceiptHandle")])
    code = str(parsed.get("Error", {}).get("Code", ""))
    # Some answers carry the shape's whole name, or a fault after a semicolon.
    code = code.rsplit("#", 1)[-1].split(";", 1)[0]
    return Failed(code if _CODE.fullmatch(code) else f"http_{status}")


def receive_count(message: Mapping[str, Any]) -> int:
    """Say how often SQS has given this message out, with this time."""
    try:
        return max(1, int(message["Attributes"]["ApproximateReceiveCount"]))
    except (KeyError, TypeError, ValueError):
        return 1
