"""An import waits until the stack has the catalogue, and says when a deployment will."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from adapters.aws_clients import AwsClients
from adapters.jsonl_catalogue import KEPT_ERRORS
from adapters.sqs_queues import SqsQueues
from cli import bad_rows, importing
from cli.answers_refresh import Refresher, precomputed_kinds
from cli.data_dir import DataDir
from cli.endpoints import Endpoints
from cli.failures import Failure
from cli.importing import run, until_answered, until_taken
from cli.target import Stack, Target
from config import queues
from config.settings import Settings
from domain.catalogue import Catalogue
from domain.errors import Transient
from domain.jobs import PrecomputeAnswers
from tasks.precompute import precompute_answers
from tests.fakes import NOW, FakeCatalogueStore, World
from tests.samples import RULE, title
from workers.sqs_sending import SqsSending

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
        until_taken(store, http, PATIENCE_SECONDS)
    assert asked == ["/readyz"] * 3


def test_it_does_not_wait_for_ever_and_says_who_is_late(store: FakeCatalogueStore) -> None:
    with (
        request_path("before") as (http, _),
        pytest.raises(Transient, match=f"{http} has not taken it"),
    ):
        until_taken(store, http, 0.0)


def test_it_does_not_wait_for_a_stack_that_is_gone(store: FakeCatalogueStore) -> None:
    with request_path("gone") as (http, _):
        pass
    with pytest.raises(Transient, match=r"is not known: .* cannot be reached"):
        until_taken(store, http, PATIENCE_SECONDS)


def test_how_many_rows_are_bad_is_told_of_a_file_that_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_REGION", "ap-northeast-1")  # names a deployment, which nobody reaches
    monkeypatch.setenv("MANGAASSIST_REDIS_URL", "redis://127.0.0.1:1/0")
    file = tmp_path / "rows.jsonl"
    file.write_text("{\n" * (KEPT_ERRORS + 1))
    with pytest.raises(Failure, match=f"{KEPT_ERRORS + 1} of {KEPT_ERRORS + 1} rows are bad"):
        run(str(file), None, merge=False, wait=False)
    left = KEPT_ERRORS + 1 - bad_rows.SHOWN_ROWS
    assert capsys.readouterr().err.endswith(f"rows.jsonl: and {left} more bad rows\n")


def ours_over(store: FakeCatalogueStore) -> Refresher:
    ports = World(RULE, store).ports
    return Refresher(ports, SqsSending(SqsQueues(AwsClients()), queues.declared()))


def test_a_stack_is_asked_where_it_is(
    store: FakeCatalogueStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with request_path("before", str(store.version())) as (http, asked):
        stack = Stack(DataDir(tmp_path), Endpoints(http, "", {}))
        until_answered(ours_over(store), {}, Target(Settings(), stack))
    assert asked == ["/readyz"] * 2
    assert capsys.readouterr() == ("", "")


def test_whoever_listens_at_the_address_of_a_deployment_here_is_not_asked(
    store: FakeCatalogueStore, capsys: pytest.CaptureFixture[str]
) -> None:
    with request_path("of somebody else") as (http, asked):
        port = int(http.rpartition(":")[2])
        settings = Settings(host="127.0.0.1", port=port, catalogue_poll_seconds=7.0)
        until_answered(ours_over(store), {}, Target(settings, None))
    assert asked == []
    said = capsys.readouterr().out
    assert "within its MANGAASSIST_CATALOGUE_POLL_SECONDS (7 s here)" in said


def test_what_is_withdrawn_is_told_although_a_schedule_is_quicker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf = [title(str(at), at, genres=("Action",)) for at in range(9)]
    world = World(RULE, FakeCatalogueStore(Catalogue(shelf)))
    make_answers(world)
    withdrawn = world.answers.current("genre")
    assert withdrawn is not None
    publish = world.catalogue.publish

    def publish_and_make_answers(catalogue: Catalogue) -> bool:
        published = publish(catalogue)
        make_answers(world)
        return published

    monkeypatch.setattr(world.catalogue, "publish", publish_and_make_answers)
    sending = SqsSending(SqsQueues(AwsClients()), queues.declared())
    monkeypatch.setattr(SqsSending, "job", lambda *_: None)
    monkeypatch.setattr(importing, "refresher", lambda _: Refresher(world.ports, sending))
    monkeypatch.setenv("MANGAASSIST_REDIS_URL", "redis://127.0.0.1:1/0")
    file = tmp_path / "rows.jsonl"
    file.write_text('{"id": "one", "title": "The only one"}\n')
    run(str(file), None, merge=False, wait=True)
    assert f", {withdrawn.answers} withdrawn\n" in capsys.readouterr().out


def make_answers(world: World) -> None:
    """As a worker does that has a job of beat's."""
    for kind in precomputed_kinds():
        job = PrecomputeAnswers(
            event_id="e", producer="test", seq=0, occurred_at=NOW, answer_kind=kind
        )
        precompute_answers([job], world.ports)
