"""Waits for what only other processes can tell by being asked."""

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from socket import create_connection

from cli.ports import HOST

PROBE_SECONDS = 5.0


def until(
    done: Callable[[], bool], seconds: float, what: Callable[[], str], pause_seconds: float = 0.05
) -> None:
    """Ask until it is done; an AssertionError says what is not."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what()}"
        time.sleep(pause_seconds)


def listens(port: int) -> bool:
    """Whether a connection is accepted."""
    try:
        create_connection((HOST, port), PROBE_SECONDS).close()
    except OSError:
        return False
    return True


def page(port: int, path: str) -> str | None:
    """What a GET is answered with; None for anything but a 200."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}{path}", timeout=PROBE_SECONDS) as answer:
            body: bytes = answer.read()
    except (OSError, urllib.error.HTTPError):
        return None
    return body.decode()


def answers_ok(port: int, path: str) -> bool:
    """Whether a GET is answered with 200."""
    return page(port, path) is not None
