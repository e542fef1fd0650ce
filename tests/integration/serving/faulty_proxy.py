"""A TCP proxy in front of a server that refuses, resets, delays or swallows on demand."""

import asyncio
import contextlib
from enum import Enum

from tests.integration.serving.processes import free_port


class Fault(Enum):
    """What the proxy does with connections and bytes."""

    NONE = "none"
    REFUSED = "refused"
    RESET = "reset"
    BLACK_HOLE = "black hole"
    SLOW = "slow"


class FaultyProxy:
    """Passes everything on until `set` says otherwise."""

    def __init__(self, target_port: int) -> None:
        self.port = free_port()
        self.slow_seconds = 0.2
        self.connections = 0
        """Accepted so far."""
        self.target_port = target_port
        """Where the next connections go."""
        self._fault = Fault.NONE
        self._healed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def set(self, fault: Fault) -> None:
        """Change what happens from now on."""
        self._fault = fault
        if fault is Fault.NONE:
            self._healed.set()
        else:
            self._healed.clear()
        if fault in {Fault.REFUSED, Fault.RESET}:
            self._abort()
        if fault is Fault.REFUSED:
            await self._unlisten()
        elif self._server is None:
            await self.start()

    async def stop(self) -> None:
        """Close everything."""
        await self._unlisten()
        while tasks := list(self._tasks):
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._abort()
        for writer in self._writers:
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _unlisten(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        self._track(asyncio.current_task())
        try:
            if self._server is None or self._fault is Fault.RESET:
                raise ConnectionResetError
            target_reader, target = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(target)
        for source, sink in ((reader, target), (target_reader, writer)):
            self._track(asyncio.create_task(self._copy(source, sink)))

    def _track(self, task: asyncio.Task[None] | None) -> None:
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if self._fault is Fault.BLACK_HOLE:
                    await self._healed.wait()
                    break  # what went into the hole is gone
                if self._fault is Fault.SLOW:
                    await asyncio.sleep(self.slow_seconds)
                sink.write(data)
        sink.transport.abort()
