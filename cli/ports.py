"""Ports on 127.0.0.1 that are kept for the children, through every restart of theirs.

A child that is killed must come back at its old address, because others know it. So the port is
chosen where no outgoing connection can take it, and on Linux a bound socket that never listens
keeps it from everybody who does not ask for just this number.
"""

import errno
import random
import socket
import sys
from pathlib import Path

from cli.failures import Failure

HOST = "127.0.0.1"
LOWEST = 10_240
TRIES = 200
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


class ReservedPort:
    """A port that a child of ours listens at; `release` when that is over."""

    def __init__(self, held: socket.socket) -> None:
        self.number = int(held.getsockname()[1])
        self._held: socket.socket | None = held
        if not sys.platform.startswith("linux"):
            self.release()  # elsewhere a bound socket keeps everybody out, the child as well

    @property
    def url(self) -> str:
        """Where its HTTP server is."""
        return f"http://{HOST}:{self.number}"

    def release(self) -> None:
        """Let anybody have it."""
        if self._held is not None:
            self._held.close()
            self._held = None


def reserve(number: int) -> ReservedPort:
    """This port; raises Failure where somebody has it."""
    try:
        return ReservedPort(_bound(number))
    except PermissionError as error:
        raise Failure(f"port {number} needs more rights than this user has") from error
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise Failure(f"port {number} on {HOST} is in use; choose another with --port") from error


def reserve_any() -> ReservedPort:
    """A free port."""
    lowest, highest = _range()
    for _ in range(TRIES):
        try:
            return ReservedPort(_bound(random.randint(lowest, highest), unshared=True))
        except OSError:
            continue
    raise Failure(f"no free port between {lowest} and {highest} on {HOST}")


def _bound(number: int, *, unshared: bool = False) -> socket.socket:
    """A socket that lets a child listen there; `unshared` where nobody else holds the port, even
    for a child that is down or still to come."""
    held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, not unshared)
        held.bind((HOST, number))
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    except OSError:
        held.close()
        raise
    return held


def _range() -> tuple[int, int]:
    """Below the ports of outgoing connections: one of those could take a dead child's port, or,
    trying to reach it there, even connect to itself."""
    try:
        first = int(_EPHEMERAL.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        first = 32_768
    return (LOWEST, first - 1) if first - LOWEST > TRIES else (LOWEST, 60_000)
