"""Services that take as long as they are asked to: `python -m bench.slow_services PORT`.

POST /MILLISECONDS is answered after that time, whatever the body says.
"""

import asyncio
import selectors
import sys

from bench.processes import HOST
from emulators.http_server import HttpServer
from emulators.wire import Outcome, Reply, Request, Response


def handle(request: Request) -> Outcome:
    """Answer late."""
    return _late(float(request.path.strip("/")) / 1000)


async def _late(seconds: float) -> Reply:
    await asyncio.sleep(seconds)
    return Response(200, b"{}")


async def main(port: int) -> None:
    """Serve until the end of the process."""
    server = HttpServer(handle)
    await server.start(HOST, port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    # select() waits for microseconds, epoll for whole milliseconds.
    loop_of = lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())  # noqa: E731
    with asyncio.Runner(loop_factory=loop_of) as runner:
        runner.run(main(int(sys.argv[1])))
