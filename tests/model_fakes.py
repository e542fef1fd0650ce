"""Fakes of the model path's ports; they keep the contracts of the real adapters."""

import asyncio
from collections.abc import AsyncGenerator
from functools import partial

from domain.catalogue import Title
from domain.errors import MangaAssistError, Permanent, Transient
from domain.model import Ended, Prompt, Stop
from domain.questions import fold
from domain.search import Comparison, Found, Wanted, fused, genre_slugs, hit, names_text


class FakeChatModel:
    """`ChatModel`: says `pieces`, or breaks off with `fail` after `fails_after` of them."""

    def __init__(self, *pieces: str) -> None:
        self.pieces = pieces or ("an ", "answer")
        self.fail: MangaAssistError | None = None
        self.fails_after = 0
        self.seconds_before_first = 0.0
        self.seconds_between = 0.0
        self.prompts: list[Prompt] = []
        self.running = 0

    async def stream(self, prompt: Prompt, seconds: float) -> AsyncGenerator[str | Ended, None]:
        self.prompts.append(prompt)
        self.running += 1
        try:
            if not prompt.messages:
                raise Permanent("there is no message")
            await self._wait(seconds)
            for number, piece in enumerate(self.pieces):
                if self.fail is not None and number == self.fails_after:
                    raise self.fail
                if number:
                    await asyncio.sleep(self.seconds_between)
                yield piece
            yield Ended(Stop.DONE, prompt.tokens, len(self.pieces))
        finally:
            self.running -= 1

    async def warm(self, seconds: float) -> None:
        await self._wait(seconds)
        if self.fail is not None:
            raise self.fail

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await asyncio.sleep(self.seconds_before_first)
        except TimeoutError as error:
            raise Transient("the model did not answer in time", dependency="model") from error


class FakeSearch:
    """`Search` over `titles`: what contains the text, in their order; or what is most alike."""

    def __init__(self, *titles: Title) -> None:
        self.titles = titles
        self.fail: MangaAssistError | None = None
        self.is_partial = False
        self.wanted: list[Wanted] = []
        self.asked = asyncio.Event()

    async def search(self, wanted: Wanted, seconds: float) -> Found:
        self.wanted.append(wanted)
        self.asked.set()
        if self.fail is not None:
            raise self.fail
        fitting = [title for title in self.titles if self._fits(title, wanted)]
        if wanted.like is not None:
            fitting.sort(key=partial(_shared, wanted.like), reverse=True)
        ranked = fused([[title.id for title in fitting]], wanted.limit)
        known = {title.id: title for title in fitting}
        return Found(tuple(hit(known[id_], score) for id_, score in ranked), self.is_partial)

    @staticmethod
    def _fits(title: Title, wanted: Wanted) -> bool:
        slugs = genre_slugs(title)
        if not title.listable or (wanted.genres and wanted.genres.isdisjoint(slugs)):
            return False
        if not wanted.excluded.isdisjoint(slugs) or not wanted.is_in_years(title.published_from):
            return False
        if wanted.like is not None:
            return title.id != wanted.like.title_id and _shared(wanted.like, title) > 0
        words = fold(wanted.text).split()
        if wanted.is_narrowed and not words:
            return True
        text = fold(names_text(title)) + " ".join(slugs)
        return any(word in text for word in words)


def _shared(like: Comparison, title: Title) -> float:
    slugs = genre_slugs(title)
    return sum(weight for slug, weight in like.weights if slug in slugs)
