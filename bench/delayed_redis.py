"""Redis as far away as it is told: `python -m bench.delayed_redis PORT REDIS_PORT MILLISECONDS`.

Everything that a client sends waits so long, in order; replies come back at once.
"""

import asyncio
import selectors
import sys

from bench.processes import HOST

CHUNK_BYTES = 256 * 1024


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
    finally:
        writer.close()


async def _forward_late(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float
) -> None:
    loop = asyncio.get_running_loop()
    while chunk := await reader.read(CHUNK_BYTES):
        loop.call_later(seconds, writer.write, chunk)
    loop.call_later(seconds, writer.close)


async def main(port: int, redis_port: int, milliseconds: float) -> None:
    """Serve until the end of the process."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(HOST, redis_port)
        await asyncio.gather(
            _forward_late(reader, back, milliseconds / 1000),
            _forward(there, writer),
            return_exceptions=True,
        )

    server = await asyncio.start_server(connected, HOST, port)
    await server.serve_forever()


if __name__ == "__main__":
    # select() waits for microseconds, epoll for whole milliseconds.
    loop_of = lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())  # noqa: E731
    with asyncio.Runner(loop_factory=loop_of) as runner:
        runner.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
