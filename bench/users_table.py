"""DynamoDB's GetItem with the latency that it is told: `python -m bench.users_table PORT`.

moto takes as long as it takes; here a read takes what the figures of a real table say. A user whose
id begins with "warm-" has an item, nobody else has. PUT /latency {"low_ms": 1, "high_ms": 5}.
"""

import asyncio
import random
import sys

import msgspec

from emulators.http_server import HttpServer
from emulators.loop import new_event_loop
from emulators.wire import Outcome, Reply, Request, Response

ITEM = {
    "group:user-profile": {
        "M": {
            "event_time": {"N": "1"},
            "values": {"S": '{"favourite_genres":"Romance, Slice of Life"}'},
        }
    },
    "revision": {"N": "1"},
}


class Latency(msgspec.Struct):
    """How long a read takes, drawn evenly."""

    low_ms: float = 0.0
    high_ms: float = 0.0


class Asked(msgspec.Struct, rename="pascal"):
    """The part of GetItem's parameters that matters here."""

    key: dict[str, dict[str, str]]


class UsersTable:
    """The handler of every request."""

    def __init__(self) -> None:
        self._latency = Latency()

    def handle(self, request: Request) -> Outcome:
        """Answer a read, or change how long reads take."""
        if request.path == "/latency":
            self._latency = msgspec.json.decode(request.body, type=Latency)
            return Response(200, b"{}")
        return self._read(request)

    async def _read(self, request: Request) -> Reply:
        user = msgspec.json.decode(request.body, type=Asked).key["user_id"]["S"]
        latency = self._latency
        await asyncio.sleep(random.uniform(latency.low_ms, latency.high_ms) / 1000)
        item = {"user_id": {"S": user}, **ITEM} if user.startswith("warm-") else None
        body = msgspec.json.encode({"Item": item} if item else {})
        return Response(200, body, "application/x-amz-json-1.0")


async def _serve(port: int) -> None:
    await HttpServer(UsersTable().handle).start("127.0.0.1", port)
    await asyncio.Event().wait()


def main() -> None:
    """Serve until killed."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve(int(sys.argv[1])))


if __name__ == "__main__":
    main()
