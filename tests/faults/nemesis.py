"""All proxies of a stack in a process of their own, steered over a socket.

`python -m tests.faults.nemesis NAME=PORT…` prints where each proxy listens, as one JSON line; the
control socket is named `control`. Those of `OF_BYTES` pass on whatever comes, all others know the
JSON services of AWS. A process of its own, because the interpreter that makes load must not be what
makes Redis slow.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from cli.ports import HOST
from tests.faults.proxy import AwsProxy, Fault, FaultyProxy

ROOT = Path(__file__).resolve().parents[2]
OF_BYTES = {"redis", "replication", "sqs", "features", "models", "search", "keys"}
ANSWER_SECONDS = 60.0


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What one proxy is to do: the fault, none, or to lead elsewhere."""

    proxy: str
    fault: Fault | None = None
    lead_to: int | None = None
    cut: bool = True
    """Whether connections that are open end with it."""
    asks: bool = False
    """It is only to say how often it has struck."""


class Nemesis:
    """The running process, as whoever orders faults sees it."""

    def __init__(self, targets: Mapping[str, int]) -> None:
        arguments = [f"{name}={port}" for name, port in targets.items()]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.faults.nemesis", *arguments],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert self._process.stdout is not None
        self.ports: dict[str, int] = json.loads(self._process.stdout.readline())
        self._control = socket.create_connection((HOST, self.ports["control"]), ANSWER_SECONDS)
        self._answers = self._control.makefile("rb")
        self.struck = 0
        """How often faults have struck that are over."""

    def strike(self, proxy: str, fault: Fault) -> None:
        """Have a proxy misbehave."""
        self._order(Order(proxy=proxy, fault=fault))

    def has_struck(self, proxy: str) -> bool:
        """Whether the present fault of a proxy has struck."""
        return self._ask(Order(proxy=proxy, asks=True)) > 0

    def heal(self) -> None:
        """Have all behave."""
        for proxy in self.ports:
            if proxy != "control":
                self._order(Order(proxy=proxy))

    def lead(self, proxy: str, port: int, *, cut: bool = True) -> None:
        """Have a proxy lead elsewhere."""
        self._order(Order(proxy=proxy, lead_to=port, cut=cut))

    def close(self) -> None:
        """End the process."""
        self._answers.close()
        self._control.close()
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _order(self, order: Order) -> None:
        self.struck += self._ask(order)

    def _ask(self, order: Order) -> int:
        self._control.sendall(msgspec.json.encode(order) + b"\n")
        done, _, struck = self._answers.readline().partition(b" ")
        assert done == b"done", f"{order} was not carried out"
        return int(struck)


async def _serve(targets: Mapping[str, int]) -> None:
    proxies = {
        name: (FaultyProxy if name in OF_BYTES else AwsProxy)(port)
        for name, port in targets.items()
    }
    for proxy in proxies.values():
        await proxy.start()

    gone = asyncio.Event()

    async def obey(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            order = msgspec.json.decode(line, type=Order)
            proxy, struck = proxies[order.proxy], 0
            if order.asks:
                struck = proxy.struck
            elif order.lead_to is not None:
                proxy.lead_to(order.lead_to, cut=order.cut)
            else:
                struck = proxy.struck
                await proxy.set(order.fault)
            writer.write(b"done %d\n" % struck)
        writer.close()
        gone.set()  # whoever gave orders will give no more

    control = await asyncio.start_server(obey, HOST, 0)
    ports: dict[str, Any] = {name: proxy.port for name, proxy in proxies.items()}
    ports["control"] = control.sockets[0].getsockname()[1]
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()
    await gone.wait()


def main() -> None:
    """Serve until a signal."""
    targets = {name: int(port) for name, port in (text.split("=") for text in sys.argv[1:])}
    asyncio.run(_serve(targets))


if __name__ == "__main__":
    main()
