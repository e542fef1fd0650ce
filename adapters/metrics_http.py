"""A small HTTP server for `/metrics` and `/healthz` of a process that has no other.

Knows no metric: it is given what to render and whom to ask about the process's health.
"""

import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STOP_POLL_SECONDS = 0.1
REQUEST_SECONDS = 5.0
"""A client that is slower than this loses its connection, so that none can hold a thread."""


class MetricsServer:
    """The running server; `port` is the one it was given, or a free one for 0."""

    def __init__(
        self, host: str, port: int, render: Callable[[], bytes], healthy: Callable[[], bool]
    ) -> None:
        handler = type("Handler", (_Handler,), {"render": staticmethod(render)})
        handler.healthy = staticmethod(healthy)  # type: ignore[attr-defined]
        self._server = _Server((host, port), handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            args=(STOP_POLL_SECONDS,),
            name="metrics",
            daemon=True,
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


class _Handler(BaseHTTPRequestHandler):
    timeout = REQUEST_SECONDS
    render: Callable[[], bytes]
    healthy: Callable[[], bool]

    def do_GET(self) -> None:
        """Answer one request."""
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._send(HTTPStatus.OK, CONTENT_TYPE, type(self).render())
        elif path == "/healthz":
            is_healthy = type(self).healthy()
            status = HTTPStatus.OK if is_healthy else HTTPStatus.SERVICE_UNAVAILABLE
            body = json.dumps({"status": "ok" if is_healthy else "unhealthy"}).encode()
            self._send(status, "application/json", body)
        else:
            self._send(HTTPStatus.NOT_FOUND, "text/plain", b"not found\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Scrapes are not logged."""

    def _send(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
