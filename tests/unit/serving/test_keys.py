"""How the set of keys is fetched, from a server on this machine."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from serving.keys import KeySet
from tests.unit.serving.test_tokens import JWKS

pytestmark = pytest.mark.enable_socket


class _Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class _Handler(BaseHTTPRequestHandler):
    """`/keys` has the keys, `/NUMBER` redirects there with this status."""

    server: _Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path == "/keys":
            self.send_response(200)
        else:
            self.send_response(int(self.path[1:]))
            self.send_header("Location", self.server.url("/keys"))
        self.end_headers()
        self.wfile.write(JWKS if self.path == "/keys" else b"")

    def log_message(self, format: str, *_arguments: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Server]:
    monkeypatch.setattr("serving.keys.FETCH_SECONDS", 60.0)
    with _Server() as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.01,))
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def test_the_configured_url_is_read(server: _Server) -> None:
    keys = KeySet(server.url("/keys"))
    keys.refresh()
    assert keys.ids().keys() == {"r", "e"}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server: _Server, status: int) -> None:
    keys = KeySet(server.url(f"/{status}"))
    keys.refresh()
    assert not keys.loaded
    assert server.asked == [f"/{status}"]
