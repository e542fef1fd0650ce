"""API Gateway's side of the wire: takes posts to the connections that it holds."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

ERRORS = {429: "LimitExceededException", 403: "ForbiddenException"}


class ApiGateway(ThreadingHTTPServer):
    """Holds the connections in `open`; `faults` answers the next posts with these statuses."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connections)
        self.open: dict[str, list[dict[str, object]]] = {}
        self.faults: list[int] = []
        self._thread = threading.Thread(target=self.serve_forever)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/prod"

    def connect(self, connection_id: str) -> list[dict[str, object]]:
        """What the client of this connection will have received."""
        return self.open.setdefault(connection_id, [])

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


class _Connections(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ApiGateway

    def do_POST(self) -> None:
        frame = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.faults:
            status = self.server.faults.pop(0)
            self._answer(status, ERRORS[status])
        elif self._connection_id() not in self.server.open:
            self._answer(410, "GoneException")
        else:
            self.server.open[self._connection_id()].append(json.loads(frame))
            self._answer(200)

    def do_DELETE(self) -> None:
        known = self.server.open.pop(self._connection_id(), None) is not None
        self._answer(204 if known else 410, None if known else "GoneException")

    def _connection_id(self) -> str:
        assert self.path.startswith("/prod/@connections/"), self.path
        return unquote(self.path.rpartition("/")[2])

    def _answer(self, status: int, error: str | None = None) -> None:
        self.send_response(status)
        if error is not None:
            self.send_header("x-amzn-ErrorType", error)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""
