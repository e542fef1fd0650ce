"""A WebSocket of a running stack, opened as its own page would."""

from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.system.running import Stack

SECONDS = 90.0


def opened(stack: Stack, session: str) -> ClientConnection:
    """A client of this session that bears a stack which is late."""
    address = stack.http.replace("http://", "ws://")
    return connect(
        f"{address}/v1/ws?session_id={session}",
        proxy=None,
        origin=Origin(stack.http),
        open_timeout=SECONDS,
        ping_interval=None,
    )
