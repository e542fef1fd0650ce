"""Search in OpenSearch: by words and by nearest neighbours at the same time, ranks fused here.

Both halves are filtered where they run, and six fields of each hit travel. What one half does not
answer in time the other one makes up for. What is like a title is found by what it shares alone,
and of equal hits the more popular comes first: as in the process. Needs the alias that
`adapters/opensearch_titles.py` keeps, and es:ESHttpPost or aoss:APIAccessAll.
"""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from opensearchpy import AsyncOpenSearch

from adapters.opensearch_client import SERVICE, translated
from domain.errors import Permanent, Transient
from domain.gist import Gist
from domain.search import (
    CANDIDATES,
    SOURCE_FIELDS,
    Comparison,
    Embedder,
    Found,
    Hit,
    Wanted,
    fused,
)

SERVER_SHARE = 0.8
"""Of the time that is left, how much OpenSearch may use: then it answers with what it has."""
MIN_SERVER_MS = 5
_Sort = Sequence[Mapping[str, object]]
# unmapped where the index is still one of before there were places
POPULAR_FIRST: _Sort = [{"place": {"order": "asc", "unmapped_type": "integer"}}]
BEST_FIRST: _Sort = [{"_score": {"order": "desc"}}, *POPULAR_FIRST]


class _Source(msgspec.Struct):
    id: str
    title: str
    title_ja: str | None = None
    authors: list[str] = []
    genres: list[str] = []
    published_from: str | None = None


class _Row(msgspec.Struct):
    source: _Source = msgspec.field(name="_source")
    score: float | None = msgspec.field(name="_score")


class _Rows(msgspec.Struct):
    hits: list[_Row] = []


class _Shards(msgspec.Struct):
    failed: int = 0


class _Answer(msgspec.Struct):
    hits: _Rows
    timed_out: bool = False
    shards: _Shards = msgspec.field(name="_shards", default_factory=_Shards)


_Query = dict[str, object]


@dataclass(frozen=True, slots=True)
class _Half:
    """One ranking; `is_partial` where shards failed or were stopped."""

    hits: list[Hit]
    is_partial: bool


class OpenSearchSearch:
    """Implements `domain.search.Search`."""

    def __init__(self, client: AsyncOpenSearch, alias: str, embedder: Embedder, gist: Gist) -> None:
        self._client = client
        self._gist = gist
        self._alias = alias
        self._embedder = embedder

    async def search(self, wanted: Wanted, seconds: float) -> Found:
        """What fits best, by words, by likeness, or by what of the two answered in time."""
        deadline = asyncio.get_running_loop().time() + seconds
        outcomes = await asyncio.gather(
            _caught(self._by_words(wanted, deadline)), _caught(self._by_likeness(wanted, deadline))
        )
        halves = [outcome for outcome in outcomes if isinstance(outcome, _Half)]
        if not halves:
            raise next(outcome for outcome in outcomes if not isinstance(outcome, _Half))
        known = {found.id: found for half in halves for found in half.hits}
        ids = [[found.id for found in half.hits] for half in halves]
        return Found(
            tuple(replace(known[id_], score=score) for id_, score in fused(ids, wanted.limit)),
            is_partial=len(halves) < len(outcomes) or any(half.is_partial for half in halves),
        )

    async def _by_words(self, wanted: Wanted, deadline: float) -> _Half:
        if wanted.like is not None:
            if not wanted.like.weights:  # of a title without genres nothing is like it
                return _Half([], is_partial=False)
            return await self._rank(_alike(wanted, wanted.like), BEST_FIRST, deadline)
        if wanted.is_narrowed and not self._gist.words(wanted.text):
            return await self._rank({"bool": _filters(wanted)}, POPULAR_FIRST, deadline)
        words = {"query": self._gist.of(wanted.text), "fields": ["names^2", "about"]}
        query: _Query = {"bool": {**_filters(wanted), "must": [{"multi_match": words}]}}
        return await self._rank(query, BEST_FIRST, deadline)

    async def _by_likeness(self, wanted: Wanted, deadline: float) -> _Half:
        is_without_words = wanted.is_narrowed and not self._gist.words(wanted.text)
        if wanted.like is not None or is_without_words:
            return _Half([], is_partial=False)
        left = deadline - asyncio.get_running_loop().time()
        vector = await self._embedder.embed(wanted.text, left)
        if not any(vector):  # a text without letters is like nothing
            return _Half([], is_partial=False)
        neighbours = {
            "vector": [*vector],
            "k": CANDIDATES,
            "filter": {"bool": _filters(wanted)},
        }
        half = await self._rank({"knn": {"embedding": neighbours}}, BEST_FIRST, deadline)
        least = self._embedder.min_similarity
        return replace(half, hits=[found for found in half.hits if _cosine(found.score) > least])

    async def _rank(self, query: _Query, sort: _Sort, deadline: float) -> _Half:
        left = deadline - asyncio.get_running_loop().time()
        body = {
            "size": CANDIDATES,
            "sort": sort,
            "_source": list(SOURCE_FIELDS),
            "track_total_hits": False,
            "timeout": f"{max(round(left * SERVER_SHARE * 1000), MIN_SERVER_MS)}ms",
            "query": query,
        }
        async with translated(deadline):
            answer: Any = await self._client.search(
                body=body, index=self._alias, params={"request_timeout": max(left, 0.001)}
            )
        return _half(answer)


async def _caught(half: Coroutine[Any, Any, _Half]) -> _Half | Transient | Permanent:
    try:
        return await half
    except (Transient, Permanent) as error:
        return error


def _filters(wanted: Wanted) -> _Query:
    filters: list[_Query] = [{"term": {"listable": True}}]
    if wanted.genres:
        filters.append({"terms": {"genre_slugs": sorted(wanted.genres)}})
    if wanted.has_years:
        years = {"gte": wanted.since, "lte": wanted.until}
        bounds = {name: year for name, year in years.items() if year is not None}
        filters.append({"range": {"year": bounds}})
    unwanted: list[_Query] = []
    if wanted.excluded:
        unwanted.append({"terms": {"genre_slugs": sorted(wanted.excluded)}})
    if wanted.like is not None:
        unwanted.append({"term": {"id": wanted.like.title_id}})
    return {"filter": filters, "must_not": unwanted} if unwanted else {"filter": filters}


def _alike(wanted: Wanted, like: Comparison) -> _Query:
    """Each genre that is shared adds its weight, and no other score does."""
    shared: list[_Query] = [
        {"constant_score": {"filter": {"term": {"genre_slugs": slug}}, "boost": weight}}
        for slug, weight in like.weights
    ]
    return {"bool": {**_filters(wanted), "should": shared, "minimum_should_match": 1}}


def _half(answer: object) -> _Half:
    try:
        read = msgspec.convert(answer, _Answer)
    except msgspec.ValidationError as error:
        raise Transient("opensearch sends what it should not", dependency=SERVICE) from error
    hits = [
        Hit(
            row.source.id,
            row.source.title,
            row.source.title_ja,
            tuple(row.source.authors),
            tuple(row.source.genres),
            row.source.published_from,
            row.score or 0.0,
        )
        for row in read.hits.hits
    ]
    return _Half(hits, read.timed_out or read.shards.failed > 0)


def _cosine(score: float) -> float:
    """The cosine of two vectors of length 1 from the score of their distance, 1 / (1 + d²)."""
    return 1 - (1 / score - 1) / 2 if score > 0 else -1.0
