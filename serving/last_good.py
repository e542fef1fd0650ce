"""Keeps a copy of every published answer in the process, for when Redis does not answer.

It looks at the versions of the published sets every few seconds, in the background, and reads a
set only when its version has changed.
"""

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from typing import Protocol

from domain.errors import Transient
from serving.answers import SeenAnswers

log = logging.getLogger(__name__)

LOOK_SECONDS = 3.0
FIRST_LOOK_SECONDS = 0.1
READ_SECONDS = 1.0


class PublishedSets(Protocol):
    """The published sets; both raise Transient."""

    async def versions(self, kinds: Sequence[str], seconds: float) -> Sequence[bytes | None]:
        """The version of the set of each kind."""
        ...

    async def published(
        self, kind: str, version: bytes, seconds: float
    ) -> Mapping[str, bytes] | None:
        """The stored answers of a set, by their keys; None where it is not there any more."""
        ...


class LastGood:
    """Fills `seen` with what is published, also what nobody has asked for here."""

    def __init__(self, sets: PublishedSets, kinds: Sequence[str], seen: SeenAnswers) -> None:
        self._sets = sets
        self._kinds = kinds
        self._seen = seen
        self._versions: dict[str, bytes] = {}
        self._keys: dict[str, frozenset[str]] = {}

    async def keep(self) -> None:
        """Look again and again, for as long as the process serves."""
        while True:
            try:
                await self.refresh()
            except Transient as error:
                log.debug("the published answers cannot be read: %s", error)
            pause = LOOK_SECONDS if self._versions else FIRST_LOOK_SECONDS
            # Not all processes at the same moment.
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))

    async def refresh(self) -> None:
        """Read the sets whose version has changed; raises Transient."""
        versions = await self._sets.versions(self._kinds, READ_SECONDS)
        for kind, version in zip(self._kinds, versions, strict=True):
            if version is not None and version != self._versions.get(kind):
                await self._read(kind, version)

    async def _read(self, kind: str, version: bytes) -> None:
        answers = await self._sets.published(kind, version, READ_SECONDS)
        if answers is None:  # replaced between the two reads
            return
        for key, stored in answers.items():
            self._seen.learn(key, stored)
        for withdrawn in self._keys.get(kind, frozenset()) - answers.keys():
            self._seen.forget(withdrawn)
        self._keys[kind], self._versions[kind] = frozenset(answers), version
