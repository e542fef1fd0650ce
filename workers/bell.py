"""Wakes kombu's event loop from another thread, and gives it something to read at all times.

Without anything to read the loop sleeps 0.1 s at a time, deaf to finished tasks.
"""

import socket
from contextlib import suppress

from kombu.asynchronous.hub import Hub


class Bell:
    """A pair of sockets, one end of which the loop listens to."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._ear, self._button = socket.socketpair()
        self._ear.setblocking(False)
        hub.add_reader(self._ear, self._rings)

    def ring(self) -> None:
        """Have the loop turn once more; from any thread."""
        with suppress(OSError):
            self._button.send(b"!")

    def close(self) -> None:
        """Stop listening; on the loop's thread."""
        self._hub.remove(self._ear)
        self._ear.close()
        self._button.close()

    def _rings(self) -> None:
        with suppress(OSError):
            self._ear.recv(64)
