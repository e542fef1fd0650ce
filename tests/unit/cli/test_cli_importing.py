"""An import waits until the request path has the catalogue."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cli.importing import until_taken
from domain.catalogue import Catalogue
from domain.errors import Transient
from tests.fakes import FakeCatalogueStore
from tests.samples import title

pytestmark = pytest.mark.enable_socket
PATIENCE_SECONDS = 120.0


@contextmanager
def request_path(*versions: str) -> Iterator[tuple[str, list[str]]]:
    """One that has these in turn, and then keeps the last; where it is, and what it was asked."""
    left, asked = list(versions), list[str]()

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            version = left.pop(0) if len(left) > 1 else left[0]
            body = json.dumps({"ready": True, "checks": {}, "catalogue": version}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


@pytest.fixture
def store() -> FakeCatalogueStore:
    return FakeCatalogueStore(Catalogue([title("1")]))


def test_it_waits_while_the_one_before_is_answered_from(store: FakeCatalogueStore) -> None:
    newest = store.version()
    assert newest is not None
    with request_path("before", "before", newest) as (http, asked):
        until_taken(store, http, 0.5, PATIENCE_SECONDS)
    assert asked == ["/readyz"] * 3


def test_it_does_not_wait_for_ever_and_says_who_is_late(store: FakeCatalogueStore) -> None:
    with (
        request_path("before") as (http, _),
        pytest.raises(Transient, match=f"{http} has not taken it"),
    ):
        until_taken(store, http, 0.5, 0.0)


def test_where_nobody_can_be_asked_it_says_how_long_it_may_take(store: FakeCatalogueStore) -> None:
    with request_path("gone") as (http, _):
        pass
    with pytest.raises(Transient, match="each 15 s"):
        until_taken(store, http, 15.0, PATIENCE_SECONDS)
