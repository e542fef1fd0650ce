"""A proxy in front of one dependency that misbehaves on demand.

`FaultyProxy` passes bytes on, for Redis and SQS; `AwsProxy` knows the JSON requests of DynamoDB,
Kinesis and Logs, so that a fault can befall single actions. One event loop, many proxies.
"""

import asyncio
import contextlib
import random
from collections.abc import Iterator
from enum import StrEnum
from fnmatch import fnmatchcase

import msgspec

from cli.ports import HOST, reserve_any
from tests.faults import aws_wire
from tests.faults.aws_wire import Message

CHUNK_BYTES = 65_536


class Mode(StrEnum):
    """What a proxy does; the second half only an `AwsProxy` can."""

    REFUSED = "refused"
    RESET = "reset"
    BLACK_HOLE = "black hole"
    SLOW = "slow"
    ERROR = "error"
    LOSE_REPLY = "lose reply"
    PARTIAL = "partial"
    STALE = "stale"


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """`action` is a glob of AWS actions; after `times` strikes the fault is over.

    What is slow takes `seconds`, up to `jitter_seconds` more or less. What is stale answers a read
    that asks for no better as it did the first time.
    """

    mode: Mode
    action: str = "*"
    seconds: float = 0.2
    jitter_seconds: float = 0.0
    status: int = 500
    code: str = "InternalServerError"
    fraction: float = 0.5
    times: int | None = None


OF_CONNECTIONS = {Mode.REFUSED, Mode.RESET, Mode.BLACK_HOLE, Mode.SLOW}


class FaultyProxy:
    """Passes everything on until `set` says otherwise."""

    def __init__(self, target_port: int) -> None:
        self._reserved = reserve_any()
        self.port = self._reserved.number
        self.connections = 0
        """Accepted so far."""
        self.target_port = target_port
        self._fault: Fault | None = None
        self.struck = 0
        """How often the present fault has struck."""
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._lets_go = asyncio.Event()
        self._lets_go.set()

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, HOST, self.port)

    async def set(self, fault: Fault | None) -> None:
        """Change what happens from now on; None heals."""
        self._fault, self.struck = fault, 0
        mode = fault.mode if fault else None
        if mode in {Mode.REFUSED, Mode.RESET}:
            self.struck += len(self._writers)
            self._abort()
        if mode is Mode.REFUSED:
            self.struck += 1  # whom a closed port refuses, only they can tell
            await self._unlisten()
        elif self._server is None:
            await self.start()

    def lead_to(self, target_port: int, *, cut: bool = True) -> None:
        """Send new connections elsewhere, and cut those that are open, if so told."""
        self.target_port = target_port
        if cut:
            self._abort()

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """What is slow takes no less than the body does, however long the machine makes that."""
        self._lets_go.clear()
        try:
            yield
        finally:
            self._lets_go.set()

    async def stop(self) -> None:
        """Close everything."""
        await self._unlisten()
        self._fault = None
        self._abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._reserved.release()

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
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Also what had been accepted, but not come here, when connections began to be refused.
        if self._fault is not None and self._fault.mode in {Mode.REFUSED, Mode.RESET}:
            self.struck += 1
            writer.transport.abort()
            return
        try:
            target_reader, target = await asyncio.open_connection(HOST, self.target_port)
        except OSError:  # what it leads to is down itself
            writer.transport.abort()
            return
        self._writers.add(target)
        try:
            await self._connect(reader, writer, target_reader, target)
        finally:
            for one in (writer, target):
                self._writers.discard(one)
                one.transport.abort()
                with contextlib.suppress(OSError):
                    await one.wait_closed()

    async def _connect(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        target_reader: asyncio.StreamReader,
        target: asyncio.StreamWriter,
    ) -> None:
        """Pass on what comes, until one side ends."""
        copying = [
            asyncio.create_task(self._copy(source, sink))
            for source, sink in ((reader, target), (target_reader, writer))
        ]
        await asyncio.wait(copying, return_when=asyncio.FIRST_COMPLETED)
        for task in copying:
            task.cancel()
        await asyncio.gather(*copying, return_exceptions=True)

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(CHUNK_BYTES):
                if not await self._passes():
                    await _swallow(source)
                    return
                sink.write(data)

    async def _passes(self) -> bool:
        """Wait as long as the fault makes one wait; False where this connection is never to speak
        again, not even when all is healed, as where a router has forgotten it."""
        fault = self._fault
        if fault is None or fault.mode not in OF_CONNECTIONS:
            return True
        self.struck += 1
        if fault.mode is Mode.BLACK_HOLE:
            return False
        if fault.mode is Mode.SLOW:
            spread = random.uniform(-fault.jitter_seconds, fault.jitter_seconds)
            await asyncio.sleep(max(0.0, fault.seconds + spread))
            await self._lets_go.wait()
        return True


async def _swallow(source: asyncio.StreamReader) -> None:
    """Take what comes until the other side gives up."""
    while await source.read(CHUNK_BYTES):
        pass


class AwsProxy(FaultyProxy):
    """A proxy that reads requests, for faults of single actions."""

    def __init__(self, target_port: int) -> None:
        super().__init__(target_port)
        self._first: dict[bytes, Message] = {}
        """The first replies to reads since the fault began, by request."""

    async def set(self, fault: Fault | None) -> None:
        """Change what happens from now on; None heals."""
        self._first.clear()
        await super().set(fault)

    async def _connect(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        target_reader: asyncio.StreamReader,
        target: asyncio.StreamWriter,
    ) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while await self._exchange(reader, writer, target_reader, target):
                pass

    async def _exchange(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        target_reader: asyncio.StreamReader,
        target: asyncio.StreamWriter,
    ) -> bool:
        """One request and its reply; whether the connection lives on."""
        request = await aws_wire.read(reader)
        if not await self._passes():
            await _swallow(reader)
            return False
        fault = self._striking(request)
        if fault is not None and fault.mode is Mode.ERROR:
            writer.write(aws_wire.error(fault.status, fault.code).encoded())
            return True
        left = None
        if fault is not None and fault.mode is Mode.PARTIAL:
            request, left = aws_wire.cut(request, fault.fraction)
        target.write(request.encoded())
        reply = await aws_wire.read(target_reader)
        if fault is not None and fault.mode is Mode.LOSE_REPLY:
            return False
        if fault is not None and fault.mode is Mode.STALE:
            reply = self._first.setdefault(request.body, reply)
        writer.write((left(reply) if left else reply).encoded())
        return True

    def _striking(self, request: Message) -> Fault | None:
        fault = self._fault
        if fault is None or fault.mode in OF_CONNECTIONS:
            return None
        if not fnmatchcase(request.action, fault.action):
            return None
        if fault.mode is Mode.STALE and not aws_wire.may_be_stale(request):
            return None
        if fault.times is not None and self.struck >= fault.times:
            return None
        self.struck += 1
        return fault
