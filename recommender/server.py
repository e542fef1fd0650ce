"""Serves a model as a SageMaker container does: GET /ping and POST /invocations.

`python -m recommender.server --port N --model FILE` on 127.0.0.1 until SIGTERM. A model that is
replaced is taken over with the next request; without one, /ping says 503.
"""

import argparse
import json
import logging
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from recommender.model import Model, ModelUnreadable, load
from recommender.scoring import recommend

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
MAX_BODY_BYTES = 256 * 1024
IDLE_SECONDS = 75

Word = Annotated[str, Meta(max_length=4096)]
TitleId = Annotated[str, Meta(min_length=1, max_length=255)]


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the endpoint takes: the history, newest first, the features by group, how many."""

    recent: Annotated[list[TitleId], Meta(max_length=500)]
    features: Annotated[dict[str, dict[str, Word]], Meta(max_length=50)] = {}
    limit: Annotated[int, Meta(ge=1, le=100)]


_decode = msgspec.json.Decoder(Asked).decode


class Deployed:
    """The model of the moment, read again when its file is another one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._model: Model | None = None

    def model(self) -> Model | None:
        """The model, None as long as there was none that could be read."""
        try:
            found = self._path.stat()
        except OSError:
            return self._model
        stamp = (found.st_mtime_ns, found.st_ino)
        with self._lock:
            if stamp != self._stamp:
                self._stamp = stamp
                self._take_over()
            return self._model

    def _take_over(self) -> None:
        try:
            self._model = load(self._path)
        except (ModelUnreadable, OSError) as error:
            log.warning("the model stays as it is: %s", error)
        else:
            log.info("model %s of %d titles", self._model.version, len(self._model.ids))


class Handler(BaseHTTPRequestHandler):
    """One connection of the endpoint."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024
    server: "ModelServer"

    def do_GET(self) -> None:
        """Say whether there is a model."""
        if self.path != "/ping":
            self._answer(HTTPStatus.NOT_FOUND, {"message": "there is only /ping"})
        elif self.server.deployed.model() is None:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, {"message": "there is no model yet"})
        else:
            self._answer(HTTPStatus.OK, {})

    def do_POST(self) -> None:
        """Recommend."""
        size = self.headers.get("Content-Length", "")
        if not size.isdecimal() or int(size) > MAX_BODY_BYTES:
            self.close_connection = True
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"message": "no such body"})
            return
        body = self.rfile.read(int(size))
        if self.path != "/invocations":
            self._answer(HTTPStatus.NOT_FOUND, {"message": "there is only /invocations"})
            return
        self._answer(*invoke(self.server.deployed.model(), body))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's
        """Keep quiet: what is asked says what somebody reads."""

    def _answer(self, status: HTTPStatus, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class ModelServer(ThreadingHTTPServer):
    """The server of one model."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, deployed: Deployed) -> None:
        super().__init__((HOST, port), Handler)
        self.deployed = deployed


def invoke(model: Model | None, body: bytes) -> tuple[HTTPStatus, dict[str, Any]]:
    """What /invocations answers."""
    if model is None:
        return HTTPStatus.SERVICE_UNAVAILABLE, {"message": "there is no model yet"}
    try:
        asked = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # The library's own words may quote what somebody reads.
        return HTTPStatus.BAD_REQUEST, {"message": "the body is not what the model takes"}
    items = recommend(model, asked.recent, asked.features, asked.limit)
    return HTTPStatus.OK, {"items": [asdict(one) for one in items], "model": model.version}


def main(arguments: Sequence[str] | None = None) -> int:
    """The entry point of the process."""
    parser = argparse.ArgumentParser(prog="python -m recommender.server", description=__doc__)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--model", type=Path, default=Path("/opt/ml/model/model.npz"))
    named = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        server = ModelServer(named.port, Deployed(named.model))
    except OSError as error:
        sys.stderr.write(f"recommender: {error}\n")
        return 1

    def stop(_number: int, _frame: FrameType | None) -> None:
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    with server:
        server.serve_forever(poll_interval=0.1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
