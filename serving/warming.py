"""Keeps the connections of the read path's slower dependencies open, and says which are.

Each call resolves, connects and asks for the first time before the process takes traffic, so that
no customer pays for it, and again every while, so that no idle connection is closed meanwhile. One
that fails makes the process ready all the same, degraded: its name is in the checks of /readyz.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping

from domain.errors import MangaAssistError
from serving.registry import Registry

log = logging.getLogger(__name__)

FIRST_SECONDS = 5.0
"""How long the first call of each may keep the process from being ready."""
AGAIN_SECONDS = 30.0
"""Below the time after which AWS closes an idle connection."""
RETRY_SECONDS = 2.0

WarmUp = Callable[[], Awaitable[None]]


class Warming:
    """The calls by the name of what they warm; each raises MangaAssistError where it fails."""

    def __init__(self, calls: Mapping[str, WarmUp], registry: Registry) -> None:
        self._calls = calls
        self._registry = registry
        self._problems: dict[str, str | None] = {}
        self.state = dict.fromkeys(calls, False)
        """Whether the last call of each succeeded."""

    async def first(self) -> None:
        """Make every call once, all at the same time."""
        await asyncio.gather(*(self._warm(name) for name in self._calls))

    async def keep(self) -> None:
        """Make the calls again and again, for as long as the process serves."""
        await asyncio.gather(*(self._keep(name) for name in self._calls))

    async def _keep(self, name: str) -> None:
        while True:
            pause = AGAIN_SECONDS if self.state[name] else RETRY_SECONDS
            # Not all processes at the same moment.
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            await self._warm(name)

    async def _warm(self, name: str) -> None:
        started = time.perf_counter()
        try:
            async with asyncio.timeout(FIRST_SECONDS):
                await self._calls[name]()
            self._learn(name, None)
        except (MangaAssistError, TimeoutError) as error:
            self._learn(name, str(error) or "no answer in time")
        seconds = time.perf_counter() - started
        self._registry.histogram("warm_up_seconds", dependency=name).observe(seconds)

    def _learn(self, name: str, problem: str | None) -> None:
        if self._problems.get(name) != problem:  # once, not with every call
            log.warning("%s: %s", name, problem or "answers again")
        self._problems[name] = problem
        self.state[name] = problem is None
        self._registry.gauge("dependency_warm", dependency=name).set(float(problem is None))
