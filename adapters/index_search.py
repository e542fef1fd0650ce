"""Search in the process, over the catalogue it holds: what a store without OpenSearch uses.

Words are looked for in names and genres, likeness of spelling in names. To build the index of
13,000 titles takes seconds of computing: do it in a thread, and use the index before until then. A
search takes about a millisecond and no network.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from adapters.keyword_index import KeywordIndex
from adapters.ngram_embeddings import NgramEmbeddings
from config.search import SearchTable
from domain.catalogue import Catalogue
from domain.gist import Gist
from domain.search import (
    CANDIDATES,
    Comparison,
    Found,
    GenreWords,
    Wanted,
    about_text,
    fused,
    genre_slugs,
    hit,
    names_text,
)


class IndexSearch:
    """Implements `domain.search.Search`; immutable, and safe to share."""

    def __init__(self, catalogue: Catalogue, words: GenreWords, table: SearchTable) -> None:
        self._titles = catalogue.by_popularity
        self._gist = Gist(table.stop_words.latin, table.stop_words.japanese)
        self._embeddings = NgramEmbeddings(table.min_similarity)
        names = [names_text(title) for title in self._titles]
        about = [about_text(title, words) for title in self._titles]
        self._keywords = KeywordIndex(
            [f"{name}\n{text}" for name, text in zip(names, about, strict=True)]
        )
        self._vectors = self._embeddings.vectors(
            [" ".join((*title.names(), *title.aliases)) for title in self._titles]
        )
        self._numbers = {title.id: number for number, title in enumerate(self._titles)}
        self._genres = _by_genre([genre_slugs(title) for title in self._titles])

    async def search(self, wanted: Wanted, seconds: float) -> Found:
        """What fits best; needs no deadline."""
        del seconds
        allowed = self._allowed(wanted)
        if wanted.like is not None:
            return self._best([self._ranking(self._alike(wanted.like), allowed, above=0.0)], wanted)
        if wanted.is_narrowed and not self._gist.words(wanted.text):
            first = np.flatnonzero(allowed)[: wanted.limit]
            return Found(tuple(hit(self._titles[number], 1 / (1 + number)) for number in first))
        gist = self._gist.of(wanted.text)
        by_words = self._keywords.scores(gist)
        likeness = self._vectors @ self._embeddings.vectors([gist])[0]
        rankings = [
            self._ranking(by_words, allowed, above=0.0),
            self._ranking(likeness, allowed, above=self._embeddings.min_similarity),
        ]
        return self._best(rankings, wanted)

    def _best(self, rankings: Sequence[Sequence[int]], wanted: Wanted) -> Found:
        ids = [[self._titles[number].id for number in row] for row in rankings]
        best = fused(ids, wanted.limit)
        return Found(tuple(hit(self._titles[self._numbers[id_]], score) for id_, score in best))

    def _allowed(self, wanted: Wanted) -> npt.NDArray[np.bool_]:
        allowed = np.full(len(self._titles), not wanted.genres, dtype=np.bool_)
        for slug in wanted.genres:
            allowed[self._genres.get(slug, [])] = True
        for slug in wanted.excluded:
            allowed[self._genres.get(slug, [])] = False
        if wanted.has_years:
            for number in np.flatnonzero(allowed):
                allowed[number] = wanted.is_in_years(self._titles[number].published_from)
        return allowed

    def _alike(self, like: Comparison) -> npt.NDArray[np.float32]:
        scores = np.zeros(len(self._titles), dtype=np.float32)
        for slug, weight in like.weights:
            scores[self._genres.get(slug, [])] += weight
        number = self._numbers.get(like.title_id)
        if number is not None:
            scores[number] = 0.0
        return scores

    def _ranking(
        self, scores: npt.NDArray[np.float32], allowed: npt.NDArray[np.bool_], *, above: float
    ) -> list[int]:
        """Of equal scores the more popular title comes first: titles are numbered in that order."""
        fitting = np.flatnonzero(allowed & (scores > above))
        order = np.argsort(-scores[fitting], kind="stable")[:CANDIDATES]
        return [int(number) for number in fitting[order]]


def _by_genre(slugs: Sequence[Sequence[str]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for number, row in enumerate(slugs):
        for slug in row:
            found.setdefault(slug, []).append(number)
    return found
