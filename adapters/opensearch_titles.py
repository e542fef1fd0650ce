"""Puts the catalogue into OpenSearch: an index for each version, and an alias on the current one.

Idempotent: what is there already is not loaded again, and what a load that failed left behind is
replaced. Readers see the old index or the new one. Needs rights to create, write and delete indices
named `<alias>-…` and to change the alias.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from opensearchpy import AsyncOpenSearch

from adapters.opensearch_client import SERVICE, translated
from domain.catalogue import Catalogue, Title
from domain.errors import MangaAssistError, Transient
from domain.search import (
    Embedder,
    GenreWords,
    Vector,
    about_text,
    genre_slugs,
    hit,
    names_text,
)

MAX_BULK_BYTES = 1024 * 1024
"""As much as aiohttp writes at once without holding up the event loop."""
MAX_BULK_TITLES = 500
CALL_SECONDS = 60.0
EMBED_SECONDS = 30.0
EMBEDDED_AT_ONCE = 16
VERSION_CHARS = 12
LAYOUT = 2
"""Which fields a document has, and what they mean: another number makes another index."""
UNSUPPORTED = [400, 404, 405]
"""How a collection, which refreshes by itself, answers a refresh."""

Advance = Callable[[int, int], None]


class OpenSearchTitles:
    """The indices behind one alias."""

    def __init__(
        self, client: AsyncOpenSearch, alias: str, embedder: Embedder, words: GenreWords
    ) -> None:
        self._client = client
        self._alias = alias
        self._embedder = embedder
        self._words = words

    async def load(
        self, catalogue: Catalogue, version: str, advance: Advance | None = None
    ) -> bool:
        """Make this version the one that is searched; False where it is already."""
        index = index_name(self._alias, version)
        aliased = await self._aliased()
        if aliased == [index]:
            return False
        if index not in aliased:
            await self._create(index)
            try:
                await self._fill(index, _by_popularity(catalogue), advance)
            except MangaAssistError:
                await self._forget(index)
                raise
        await self._switch(index, aliased)
        return True

    async def _forget(self, index: str) -> None:
        """Leave nothing of a load that failed, if that is possible; the next one does not mind."""
        with contextlib.suppress(MangaAssistError):
            async with translated(_deadline()):
                await self._client.indices.delete(index=index)

    async def _aliased(self) -> list[str]:
        async with translated(_deadline()):
            if not await self._client.indices.exists_alias(name=self._alias):
                return []
            return sorted(await self._client.indices.get_alias(name=self._alias))

    async def _create(self, index: str) -> None:
        async with translated(_deadline()):
            if await self._client.indices.exists(index=index):
                await self._client.indices.delete(index=index)
            await self._client.indices.create(index=index, body=mapping(self._embedder.dimensions))

    async def _fill(self, index: str, titles: Sequence[Title], advance: Advance | None) -> None:
        done = 0
        for start in range(0, len(titles), MAX_BULK_TITLES):
            part = titles[start : start + MAX_BULK_TITLES]
            vectors = await self._embedded(part)
            documents = [
                document(title, vector, self._words, place)
                for place, (title, vector) in enumerate(zip(part, vectors, strict=True), start)
            ]
            for lines, count in _batches(documents):
                await self._write(index, lines)
                done += count
                if advance is not None:
                    advance(done, len(titles))
        async with translated(_deadline()):
            await self._client.indices.refresh(index=index, params={"ignore": UNSUPPORTED})

    async def _embedded(self, titles: Sequence[Title]) -> list[Vector]:
        places = asyncio.Semaphore(EMBEDDED_AT_ONCE)

        async def embed(title: Title) -> Vector:
            async with places:
                text = f"{names_text(title)}\n{about_text(title, self._words)}"
                return await self._embedder.embed(text, EMBED_SECONDS)

        return list(await asyncio.gather(*map(embed, titles)))

    async def _write(self, index: str, lines: str) -> None:
        async with translated(_deadline()):
            answer: Any = await self._client.bulk(
                body=lines, index=index, params={"request_timeout": CALL_SECONDS}
            )
        if answer.get("errors"):
            failed = [row["index"] for row in answer["items"] if "error" in row["index"]]
            reason = failed[0]["error"].get("type", "an error") if failed else "an error"
            what = f"opensearch did not take {len(failed)} titles: {reason}"
            raise Transient(what, dependency=SERVICE)

    async def _switch(self, index: str, before: Sequence[str]) -> None:
        actions: list[dict[str, object]] = [{"add": {"index": index, "alias": self._alias}}]
        others = [name for name in before if name != index]
        actions += [{"remove": {"index": name, "alias": self._alias}} for name in others]
        async with translated(_deadline()):
            await self._client.indices.update_aliases(body={"actions": actions})
            for name in others:
                await self._client.indices.delete(index=name)


def mapping(dimensions: int) -> dict[str, object]:
    """The settings and fields of an index of titles."""
    keyword, text = {"type": "keyword"}, {"type": "text", "analyzer": "cjk"}
    # shown, and never looked for
    shown = {"type": "keyword", "index": False, "doc_values": False}
    nearest = {"name": "hnsw", "engine": "faiss", "space_type": "l2"}
    return {
        "settings": {"index": {"knn": True}},
        "mappings": {
            "dynamic": "strict",
            "properties": {
                "id": keyword,
                "title": shown,
                "title_ja": shown,
                "authors": shown,
                "genres": shown,
                "published_from": shown,
                "names": text,
                "about": text,
                "genre_slugs": keyword,
                "year": {"type": "short"},
                # among the titles that may stand in a list, the most popular first
                "place": {"type": "integer"},
                "listable": {"type": "boolean"},
                "embedding": {
                    "type": "knn_vector",
                    "dimension": dimensions,
                    "method": nearest,
                },
            },
        },
    }


def document(title: Title, vector: Vector, words: GenreWords, place: int) -> dict[str, object]:
    """A title as it is indexed; one without a date has no year, and is found in none."""
    shown = msgspec.to_builtins(hit(title, 0.0))
    del shown["score"]
    year = {"year": int(title.published_from[:4])} if title.published_from else {}
    return {
        **shown,
        **year,
        "place": place,
        "names": names_text(title),
        "about": about_text(title, words),
        "genre_slugs": list(genre_slugs(title)),
        "listable": title.listable,
        "embedding": [round(value, 6) for value in vector],
    }


def index_name(alias: str, version: str) -> str:
    """The index of a version of the catalogue in today's layout."""
    return f"{alias}-{LAYOUT}-{version[:VERSION_CHARS]}"


def _by_popularity(catalogue: Catalogue) -> list[Title]:
    """Those that may stand in a list, most popular first, and then the others."""
    others = [title for title in catalogue.titles.values() if not title.listable]
    return [*catalogue.by_popularity, *others]


def _batches(documents: Sequence[Mapping[str, object]]) -> Iterator[tuple[str, int]]:
    """The lines of each bulk request and how many titles they hold."""
    lines: list[str] = []
    size = 0
    for one in documents:
        # without an id of ours, which collections do not take
        written = f'{{"index":{{}}}}\n{json.dumps(one)}\n'
        if lines and size + len(written) > MAX_BULK_BYTES:
            yield "".join(lines), len(lines)
            lines, size = [], 0
        lines.append(written)
        size += len(written)
    if lines:
        yield "".join(lines), len(lines)


def _deadline() -> float:
    return asyncio.get_running_loop().time() + CALL_SECONDS
