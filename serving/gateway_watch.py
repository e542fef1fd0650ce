"""Notices clients of API Gateway whose $disconnect went to another process.

API Gateway answers 410 to the next frame for a client that has gone, which ends what it asked.
While a model thinks there is no next frame.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from domain.errors import Transient

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5


class Disconnections(Protocol):
    """Who has left lately; see `adapters/redis_connections.py`."""

    async def left(self, connection_ids: Sequence[str], seconds: float) -> Sequence[str]:
        """Those of these connections that have ended; raises Transient."""
        ...


class Lines(Protocol):
    """The lines of this process; see `serving/gateway_line.py`."""

    @property
    def asking(self) -> Sequence[str]:
        """The connections for which an answer is being made."""
        ...

    def left(self, connection_id: str) -> None:
        """The client has gone: nobody waits for what it asked."""
        ...


async def watch(lines: Lines, disconnections: Disconnections, seconds: float) -> None:
    """Look who has left, for as long as the process serves."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        asking = lines.asking
        if not asking:
            continue
        try:
            for connection_id in await disconnections.left(asking, seconds):
                lines.left(connection_id)
        except Transient as error:
            log.debug("it is not known which clients have gone: %s", error)
