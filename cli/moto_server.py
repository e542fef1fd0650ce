"""`python -m cli.moto_server --port N`: moto's AWS on 127.0.0.1 until SIGTERM.

Everything but SQS and the feature store. Its state lives in memory. moto is not thread-safe, so
each of its services answers one request at a time. The first request to a service would import it:
those that the stack uses are imported before the port opens.
"""

import argparse
import logging
import os
import re
import signal
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from importlib import import_module
from types import FrameType
from typing import Any

THREADS = 8
KEEP_ALIVE_SECONDS = 600
"""Longer than a client keeps an idle connection: none may be closed under a request."""
USED = ("dynamodb", "kinesis", "logs", "cloudwatch")

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

_SERVICE = re.compile(r"Credential=[^/]+/\d+/([^/]*)/([a-z0-9-]+)/")


class OneAtATime:
    """A WSGI application that runs one request of a service at a time."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        found = _SERVICE.search(environ.get("HTTP_AUTHORIZATION", ""))
        region, service = found.groups() if found else ("", "")
        if service == "dynamodb" and _is_ping(environ):
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [f"healthy: dynamodb.{region}.amazonaws.com".encode()]
        with self._locks[service]:
            return list(self._application(environ, start_response))


def _is_ping(environ: Environ) -> bool:
    """What DynamoDB answers as a check of its health, and moto fails at with a traceback."""
    return environ["REQUEST_METHOD"] == "GET" and "HTTP_X_AMZ_TARGET" not in environ


def serve(port: int) -> None:
    """Serve until a signal ends it."""
    # moto would look for a file of images, and serve EC2's made-up ones, at a second of start-up.
    os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    from cheroot.wsgi import Server
    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        create_backend_app,
    )

    for service in USED:
        import_module(f"moto.{service}.models")
        import_module(f"moto.{service}.urls")
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    application = OneAtATime(DomainDispatcherApplication(create_backend_app))
    server = Server(
        ("127.0.0.1", port), application, numthreads=THREADS, timeout=KEEP_ALIVE_SECONDS
    )

    def stop(_number: int, _frame: FrameType | None) -> None:
        # Nothing is kept, so nothing is lost.
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    server.start()


def main() -> int:
    """The entry point of the process."""
    parser = argparse.ArgumentParser(prog="python -m cli.moto_server", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    try:
        serve(parser.parse_args().port)
    except (OSError, ImportError) as error:
        sys.stderr.write(f"moto: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
