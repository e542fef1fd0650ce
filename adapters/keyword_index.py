"""Texts by the words in them, ranked by BM25: Latin words, and Japanese in pairs of letters.

Immutable, in memory. Knows no title, only numbers of texts.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from domain.questions import JAPANESE, fold

K1, B = 1.2, 0.75
"""The usual figures of BM25."""
MAX_TERMS = 64
"""Terms of a question that are looked up: an honest one has fewer."""

Array = npt.NDArray[np.float32]


class KeywordIndex:
    """The texts, by number."""

    def __init__(self, texts: Sequence[str]) -> None:
        counted = [Counter(terms(text)) for text in texts]
        lengths = np.array([sum(counts.values()) for counts in counted], dtype=np.float32)
        mean = float(lengths.mean()) if len(texts) else 1.0
        self._texts = len(texts)
        # how much longer than the others a text is
        self._weight = K1 * (1 - B + B * lengths / max(mean, 1.0))
        postings: dict[str, list[tuple[int, int]]] = {}
        for number, counts in enumerate(counted):
            for term, count in counts.items():
                postings.setdefault(term, []).append((number, count))
        self._postings = {
            term: (
                np.array([number for number, _ in found], dtype=np.int32),
                np.array([count for _, count in found], dtype=np.float32),
            )
            for term, found in postings.items()
        }

    def scores(self, text: str) -> Array:
        """How well each text fits; 0 for one that shares no word."""
        scores = np.zeros(self._texts, dtype=np.float32)
        for term in list(dict.fromkeys(terms(text)))[:MAX_TERMS]:
            found = self._postings.get(term)
            if found is None:
                continue
            numbers, counts = found
            rarity = np.log(1 + (self._texts - len(numbers) + 0.5) / (len(numbers) + 0.5))
            scores[numbers] += rarity * counts * (K1 + 1) / (counts + self._weight[numbers])
        return scores


def terms(text: str) -> Iterator[str]:
    """The words of a text as they are looked up."""
    for word in fold(text).split():
        if not JAPANESE.search(word) or len(word) == 1:
            yield word
        else:
            yield from (word[at : at + 2] for at in range(len(word) - 1))
