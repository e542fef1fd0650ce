"""Keeps the classifier and the search in step with the catalogue, without stopping for it.

A newer catalogue is loaded and indexed in a thread, then swapped in between two requests. Its index
for search, which takes longest, follows: until then the one before goes on.
"""

import asyncio
import logging
from collections.abc import Callable

from domain.catalogue import Catalogue
from domain.errors import MangaAssistError
from domain.events import Locale
from domain.ports import CatalogueStore
from domain.questions import Question, QuestionKind, detect_locale
from domain.search import Search
from serving.chat import Classify
from serving.registry import Gauge

log = logging.getLogger(__name__)

FIRST_POLL_SECONDS = 0.25
"""How soon to look again while there is no catalogue."""
_MEMO_CHARS = 80
_MEMO_SIZE = 4096


class CatalogueWatch:
    """The catalogue of the moment and the classifier made of it."""

    def __init__(
        self,
        store: CatalogueStore,
        build: Callable[[Catalogue], Classify],
        *,
        poll_seconds: float,
        titles: Gauge,
        build_search: Callable[[Catalogue], Search] | None = None,
    ) -> None:
        self._store = store
        self._build = build
        self._build_search = build_search
        self._poll_seconds = poll_seconds
        self._titles = titles
        self._version: str | None = None
        self._classify: Classify | None = None
        self._memo: dict[tuple[str, Locale | None], Question] = {}
        self.catalogue: Catalogue | None = None
        self.search: Search | None = None
        self.before: str | None = None
        """The version of the catalogue before this one, if this process has had it."""
        self._indexed: str | None = None

    @property
    def version(self) -> str:
        """What answers are made from now: the version of the catalogue, and of an older index."""
        version = self._version or ""
        return version if self._indexed == self._version else f"{version} {self._indexed}"

    @property
    def taken(self) -> str:
        """The version that everything here follows, the index too; empty before the first."""
        return (self._version if self._build_search is None else self._indexed) or ""

    def loaded(self) -> bool:
        """Whether there is a catalogue."""
        return self.catalogue is not None

    def ready(self) -> bool:
        """Whether questions can be classified."""
        return self._classify is not None

    def classify(self, message: str, locale: Locale | None) -> Question:
        """What the question is about; everything is `chat` until the first catalogue is there."""
        asked = (message, locale)
        known = self._memo.get(asked)
        if known is not None:
            return known
        if self._classify is None:
            return Question(QuestionKind.CHAT, "", locale or detect_locale(message))
        question = self._classify(message, locale)
        if len(message) <= _MEMO_CHARS:
            if len(self._memo) >= _MEMO_SIZE:
                self._memo.clear()
            self._memo[asked] = question
        return question

    async def keep(self) -> None:
        """Look for a newer catalogue, for as long as the process serves."""
        while True:
            try:
                await self.refresh()
            except MangaAssistError as error:
                log.warning("the catalogue could not be read: %s", error)
            await asyncio.sleep(self._poll_seconds if self.loaded() else FIRST_POLL_SECONDS)

    async def refresh(self) -> None:
        """Swap a newer catalogue in, if there is one; raises what the store does."""
        version = await asyncio.to_thread(self._store.version)
        if version is not None and version != self._version:
            await self._swap()
        if self._build_search is not None and self._indexed != self._version:
            await self._index(self._build_search)

    async def _swap(self) -> None:
        catalogue = await asyncio.to_thread(self._store.load)
        if catalogue.version == self._version:
            return  # what made it look for another was taken back meanwhile
        classify = await asyncio.to_thread(self._build, catalogue)
        self.before = self._version
        # Its own version: what was asked before it was loaded may be of the one before.
        self._version, self.catalogue, self._classify = catalogue.version, catalogue, classify
        self._memo = {}
        self._titles.set(len(catalogue))
        log.info("the catalogue has %d titles now", len(catalogue))

    async def _index(self, build: Callable[[Catalogue], Search]) -> None:
        version, catalogue = self._version, self.catalogue
        if catalogue is not None:
            self.search = await asyncio.to_thread(build, catalogue)
            self._indexed = version
