"""Keeps the shared Redis connection up: connects, logs in, loads the functions, watches it.

The request path never waits for this. `unix://`, `redis://` and `rediss://` URLs.
"""

import asyncio
import contextlib
import logging
import random
import ssl
import time
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from adapters.redis_multiplexed import LOAD_FUNCTIONS, Link, NotDone, Reply, Slot, pack
from domain.errors import Transient

log = logging.getLogger(__name__)

CONNECT_SECONDS = 0.5
PROBE_EVERY_SECONDS = 0.1
PROBE_SECONDS = 0.02
"""What a probe may take where it decides whether a slow connection is used again."""
CLOCK_SECONDS = 300.0
"""By so much two clocks may differ. One process whose clock is wrong by more would else store turns
of a session in a wrong order."""
BACKOFF_SECONDS = (0.05, 0.3)
"""Connecting and the longest pause are over within a second, so that a heal is seen by then; with
its jitter a process makes at most a handful of attempts a second."""

_TIME = pack("TIME")
"""What is asked to see whether anybody answers."""


class KeptRedis:
    """The connection of the moment; `call` never waits for one.

    Without a connection a call is refused at once (NotDone), and so it is while the one there is
    lets every deadline pass: only its time is asked then, until it tells it in time. Nothing is
    ever sent twice, except a function call that Redis refused because the functions were not
    loaded. Start it and use it in one event loop. Raises ValueError for a URL that names no
    database number.
    """

    def __init__(self, url: str, *, name: str, clock: Callable[[], float] = time.time) -> None:
        self._url = urlsplit(url)
        self._name = name
        path = self._url.path.strip("/") if self._url.scheme != "unix" else ""
        if path and not path.isdecimal():
            raise ValueError("the path of a Redis URL is the number of a database")
        self._database = int(path or 0)
        self._link: Link | None = None
        self._keeper: asyncio.Task[None] | None = None
        self.time: Callable[[], float] = _no_loop
        """The clock of deadlines, by the event loop."""
        self._clock = clock
        self._off = 0.0
        self._has_connected = asyncio.Event()

    @property
    def up(self) -> bool:
        """Whether calls are sent at the moment."""
        return self._link is not None and not self._link.is_slow

    def now(self) -> float:
        """Epoch seconds: this process's, or those of Redis where the two are far apart."""
        return self._clock() + self._off

    def start(self) -> None:
        """Begin to connect."""
        loop = asyncio.get_running_loop()
        self.time = loop.time
        self._keeper = loop.create_task(self._keep(), name=f"redis {self._name}")

    async def first(self, seconds: float) -> None:
        """Wait for the first connection, and with it for the time, but not longer than that."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._has_connected.wait(), seconds)

    async def close(self) -> None:
        """Stop; whoever still waits is told."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper

    def call(self, command: bytes, answer: Callable[[Reply], None], seconds: float) -> None:
        """Send a packed command; `answer` is called once, possibly before this returns."""
        link = self._link
        if link is None or link.is_slow:
            answer(NotDone("Redis does not answer at the moment"))
        else:
            link.send(Slot(command, answer, self.time() + seconds))

    async def ask(self, command: bytes, seconds: float) -> Reply:
        """The reply to a packed command; raises NotDone or Unknown."""
        if self._link is None or self._link.is_slow:
            raise NotDone("Redis does not answer at the moment")
        return await self._link.ask(command, seconds)

    async def _keep(self) -> None:
        pause, problem = BACKOFF_SECONDS[0], ""
        while True:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    link = await self._connect()
                pause, problem = BACKOFF_SECONDS[0], ""
                await self._serve(link)
                log.warning("the Redis connection %s is gone", self._name)
            except (OSError, TimeoutError, Transient) as error:
                if problem != str(error):  # once, not with every attempt
                    problem = str(error)
                    log.warning("no Redis connection %s: %s", self._name, problem or "no answer")
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, BACKOFF_SECONDS[1])

    async def _connect(self) -> Link:
        loop, url = asyncio.get_running_loop(), self._url
        if url.scheme == "unix":
            _, link = await loop.create_unix_connection(Link, url.path)
        else:
            tls = ssl.create_default_context() if url.scheme == "rediss" else None
            host, port = url.hostname or "127.0.0.1", url.port or 6379
            _, link = await loop.create_connection(Link, host, port, ssl=tls)
        try:
            await self._greet(link)
        except BaseException:
            link.reset(NotDone("the handshake failed"))
            raise
        return link

    async def _greet(self, link: Link) -> None:
        login: tuple[str, ...] = ()
        if self._url.password is not None:
            login = ("AUTH", unquote(self._url.username or "default"), unquote(self._url.password))
        await link.ask(pack("HELLO", 2, *login, "SETNAME", self._name), CONNECT_SECONDS)
        await link.ask(pack("SELECT", self._database), CONNECT_SECONDS)
        await self._probe(link, CONNECT_SECONDS)
        try:
            await link.ask(LOAD_FUNCTIONS, CONNECT_SECONDS)
        except NotDone as refused:  # a role that may not load them finds them loaded
            if link.lost.done():
                raise
            if "already exists" not in str(refused):
                log.warning("the Redis functions were not loaded: %s", refused)

    async def _serve(self, link: Link) -> None:
        self._link = link
        self._has_connected.set()
        try:
            while not (await asyncio.wait({link.lost}, timeout=PROBE_EVERY_SECONDS))[0]:
                await self._probe(link, PROBE_SECONDS)
        finally:
            self._link = None
            link.reset(NotDone("closing"))

    async def _probe(self, link: Link, seconds: float) -> None:
        with contextlib.suppress(Transient):
            match await link.ask(_TIME, seconds):
                case [bytes(whole), bytes(millionths)]:
                    told = int(whole) + int(millionths) / 1e6
                    if abs(told - self.now()) > CLOCK_SECONDS:  # else it would follow every delay
                        self._off = told - self._clock()


def _no_loop() -> float:
    raise RuntimeError("start() comes first")
