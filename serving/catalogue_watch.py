"""Keeps the classifier and the search in step with the catalogue, without stopping for it.

A newer catalogue is loaded and indexed in a thread, then swapped in between two requests, with its
index for search. Only the first catalogue does not wait for that, which takes longest.
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
from serving.meters import Gauge

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

    @property
    def version(self) -> str:
        """The version of the catalogue; empty where there is none yet."""
        return self._version or ""

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
        if version is None or version == self._version:
            await self._index_first()
            return
        catalogue = await asyncio.to_thread(self._store.load)
        classify = await asyncio.to_thread(self._build, catalogue)
        search = None if self._version is None else await self._indexed(catalogue)
        self.before = self._version
        self._version, self.catalogue, self._classify = version, catalogue, classify
        self.search = search
        self._memo = {}
        self._titles.set(len(catalogue))
        log.info("the catalogue has %d titles now", len(catalogue))
        await self._index_first()

    async def _index_first(self) -> None:
        if self.search is None and self.catalogue is not None:
            self.search = await self._indexed(self.catalogue)

    async def _indexed(self, catalogue: Catalogue) -> Search | None:
        if self._build_search is None:
            return None
        return await asyncio.to_thread(self._build_search, catalogue)
