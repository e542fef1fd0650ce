"""Whether something listens on this machine, and what it says, without an HTTP library."""

import asyncio
import contextlib

from cli.ports import HOST

PROBE_SECONDS = 2.0
PAUSE_SECONDS = 0.02
OK = 200


async def listens(port: int) -> bool:
    """Whether a connection is accepted."""
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            _, writer = await asyncio.open_connection(HOST, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def status(port: int, path: str) -> int:
    """The status of a GET; 0 without an answer."""
    request = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                writer.write(request.encode())
                answer = (await reader.readline()).split()
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):
        return 0
    return int(answer[1]) if len(answer) > 1 and answer[1].isdigit() else 0


async def until_listening(port: int) -> None:
    """Wait until a connection is accepted."""
    while not await listens(port):  # noqa: ASYNC110 - another process sends no events
        await asyncio.sleep(PAUSE_SECONDS)


async def until_ok(port: int, path: str) -> None:
    """Wait until a GET is answered with 200."""
    while await status(port, path) != OK:  # noqa: ASYNC110
        await asyncio.sleep(PAUSE_SECONDS)
