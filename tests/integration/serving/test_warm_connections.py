"""The connections of the read path to DynamoDB: opened before traffic, and used again and again."""

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from adapters.aws_clients import AwsClients, Limits
from adapters.dynamodb_sessions import DynamoDBSessions
from adapters.redis_sessions import decode_copy
from domain.errors import Transient
from serving.meters import Meters
from serving.session_reader import READERS, SessionReader
from tests.unit.serving.fakes import CountingRegistry
from tests.unit.serving.test_session_page import FakeCopies

SECONDS = 60.0


class Table(ThreadingHTTPServer):
    """Answers every GetItem with nothing, and counts connections and requests."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.connections = self.requests = 0
        self.lock = threading.Lock()
        self.together: threading.Barrier | None = None
        """Where requests wait until as many are there, each on a connection of its own."""


class Answering(BaseHTTPRequestHandler):
    """One kept connection."""

    protocol_version = "HTTP/1.1"
    server: Table

    def setup(self) -> None:
        super().setup()
        with self.server.lock:
            self.server.connections += 1

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.requests += 1
        if self.server.together is not None:
            self.server.together.wait(SECONDS)
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    server = Table()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_REGION", "ap-northeast-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def reader() -> Iterator[SessionReader]:
    aws = AwsClients(Limits(SECONDS, SECONDS, attempts=1))
    sessions = DynamoDBSessions(aws, "mangaassist-sessions", 30, lambda: 0.0)
    yield SessionReader(FakeCopies(), decode_copy, sessions, Meters(CountingRegistry()))
    aws.close()


async def test_no_reader_opens_a_connection_after_the_warm_up(
    table: Table, reader: SessionReader
) -> None:
    table.together = threading.Barrier(READERS)
    await reader.warm()
    table.together = None
    assert table.connections == table.requests == READERS
    for _ in range(10):
        await asyncio.gather(*(reader.stored(f"s{n}", "ann", SECONDS) for n in range(READERS)))
    await reader.warm()
    assert table.requests == 12 * READERS
    assert table.connections == READERS


async def test_a_table_that_is_not_there_is_told(
    table: Table, reader: SessionReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1")
    with pytest.raises(Transient):
        await reader.warm()
    assert table.requests == 0
