"""Keeps the shared Redis connection up: connects, logs in, loads the functions, watches it.

The request path never waits for this. `unix://`, `redis://` and `rediss://` URLs.
"""

import asyncio
import contextlib
import logging
import random
import ssl
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from adapters.redis_multiplexed import LOAD_FUNCTIONS, Link, NotDone, Reply, Slot, pack
from domain.errors import Transient

log = logging.getLogger(__name__)

CONNECT_SECONDS = 2.0
PING_SECONDS = 1.0
BACKOFF_SECONDS = (0.05, 2.0)

_PING = pack("PING")


class KeptRedis:
    """The connection of the moment; `call` never waits for one.

    Without a connection a call is refused at once (NotDone). Nothing is ever sent twice, except
    a function call that Redis refused because the functions were not loaded. Start it and use it
    in one event loop. Raises ValueError for a URL that names no database number.
    """

    def __init__(self, url: str, *, name: str) -> None:
        self._url = urlsplit(url)
        self._name = name
        path = self._url.path.strip("/") if self._url.scheme != "unix" else ""
        if path and not path.isdecimal():
            raise ValueError("the path of a Redis URL is the number of a database")
        self._database = int(path or 0)
        self._link: Link | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._time: Callable[[], float] = _no_loop
        self.up = False

    def start(self) -> None:
        """Begin to connect."""
        loop = asyncio.get_running_loop()
        self._time = loop.time
        self._keeper = loop.create_task(self._keep(), name=f"redis {self._name}")

    async def close(self) -> None:
        """Stop; whoever still waits is told."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper

    def call(self, command: bytes, answer: Callable[[Reply], None], seconds: float) -> None:
        """Send a packed command; `answer` is called once, possibly before this returns."""
        if self._link is None:
            answer(NotDone("there is no Redis connection"))
        else:
            self._link.send(Slot(command, answer, self._time() + seconds))

    async def ask(self, command: bytes, seconds: float) -> Reply:
        """The reply to a packed command; raises NotDone or Unknown."""
        if self._link is None:
            raise NotDone("there is no Redis connection")
        return await self._link.ask(command, seconds)

    async def _keep(self) -> None:
        pause = BACKOFF_SECONDS[0]
        while True:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    link = await self._connect()
                pause = BACKOFF_SECONDS[0]
                await self._serve(link)
                log.warning("the Redis connection %s is gone", self._name)
            except (OSError, TimeoutError, Transient) as error:
                log.warning("no Redis connection %s: %s", self._name, error)
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
        try:
            await link.ask(LOAD_FUNCTIONS, CONNECT_SECONDS)
        except NotDone as refused:  # a role that may not load them finds them loaded
            if "already exists" not in str(refused):
                log.warning("the Redis functions were not loaded: %s", refused)

    async def _serve(self, link: Link) -> None:
        self._link, self.up = link, True
        try:
            while not (await asyncio.wait({link.lost}, timeout=PING_SECONDS))[0]:
                try:
                    await link.ask(_PING, PING_SECONDS)
                    self.up = True
                except Transient:
                    self.up = False
        finally:
            self._link, self.up = None, False
            link.reset(NotDone("closing"))


def _no_loop() -> float:
    raise RuntimeError("start() comes first")
