"""GPTCache with its SQLite store, FAISS index and distance evaluation, over the project's vectors.

Run by the Python of its own environment, with a directory, the dimensions and the thresholds. Reads
pairs of questions as JSON lines, and writes for each whether the second one is answered with the
first one's answer, at each threshold.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gptcache import Cache, Config
from gptcache.adapter.api import get, put
from gptcache.manager import CacheBase, VectorBase, get_data_manager
from gptcache.processor.post import first
from gptcache.processor.pre import get_prompt
from gptcache.similarity_evaluation.distance import SearchDistanceEvaluation

from adapters.ngram_embeddings import NgramEmbeddings

MAX_PAIRS = 100_000
ANSWER = "the answer to the first one"


def opened(directory: Path, dimensions: int) -> Cache:
    """A cache as its documentation sets one up."""
    embeddings = NgramEmbeddings(0.0, dimensions)
    stores = get_data_manager(
        CacheBase("sqlite", sql_url=f"sqlite:///{directory / 'cache.db'}"),
        VectorBase("faiss", dimension=dimensions, index_path=str(directory / "faiss.index")),
        max_size=MAX_PAIRS,  # nothing is evicted while it is measured
    )
    cache = Cache()
    cache.init(
        pre_embedding_func=get_prompt,
        embedding_func=lambda text, **_: embeddings.vectors([text])[0],
        data_manager=stores,
        similarity_evaluation=SearchDistanceEvaluation(),
        post_process_messages_func=first,
        config=Config(),
    )
    return cache


def hits(cache: Cache, pairs: Iterator[Any], thresholds: Sequence[float]) -> Iterator[list[bool]]:
    """Whether the second question of each pair finds the first, which alone is in the index."""
    for pair in pairs:
        cache.data_manager.v._index.reset()  # noqa: SLF001 - nothing else empties it
        put(pair["a"], ANSWER, cache_obj=cache)
        found = []
        for threshold in thresholds:
            cache.config.similarity_threshold = threshold
            found.append(get(pair["b"], cache_obj=cache) == ANSWER)
        yield found


def main() -> None:
    """Read, ask, and say."""
    directory, dimensions, *thresholds = sys.argv[1:]
    cache = opened(Path(directory), int(dimensions))
    for found in hits(cache, map(json.loads, sys.stdin), [float(text) for text in thresholds]):
        print(json.dumps(found))


if __name__ == "__main__":
    main()
