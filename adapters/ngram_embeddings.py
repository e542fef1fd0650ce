"""Vectors of texts from the runs of letters in them: no model, no network, always the same.

Latin runs of 3 and 4 letters, with the spaces around words, and Japanese runs of 1 to 3 are hashed
to a place and a sign of the vector. Finds what is spelt alike, never what only means the same.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from domain.questions import JAPANESE, fold
from domain.search import Vector

DIMENSIONS = 512
MAX_CHARS = 2000
LATIN_RUNS = (3, 4)
JAPANESE_RUNS = (1, 2, 3)
LONGEST_RUN = 4
AT_ONCE = 1024
"""Texts that are hashed together: more would take memory and no less time."""
BETWEEN = "\0"
"""Stands between texts that are hashed together; no text has it once it is folded."""
PRIME, MIX = np.uint32(0x01000193), np.uint32(0x9E3779B1)

Array = npt.NDArray[np.float32]
_Codes = npt.NDArray[np.uint32]


class NgramEmbeddings:
    """Implements `domain.search.Embedder`."""

    def __init__(self, min_similarity: float, dimensions: int = DIMENSIONS) -> None:
        self.dimensions = dimensions
        self.min_similarity = min_similarity

    async def embed(self, text: str, seconds: float) -> Vector:
        """The vector of a text, at once."""
        del seconds
        return [float(value) for value in self.vectors([text])[0]]

    def vectors(self, texts: Sequence[str]) -> Array:
        """A row for each text; all zeros for one without letters."""
        parts = [self._rows(texts[at : at + AT_ONCE]) for at in range(0, len(texts), AT_ONCE)]
        return np.concatenate(parts) if parts else np.zeros((0, self.dimensions), np.float32)

    def _rows(self, texts: Sequence[str]) -> Array:
        joined = BETWEEN.join(f" {fold(text[:MAX_CHARS])} " for text in texts)
        codes: _Codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        numbers = np.cumsum(codes == ord(BETWEEN))
        japanese = np.fromiter((JAPANESE.match(char) is not None for char in joined), np.bool_)
        rows = np.zeros(len(texts) * self.dimensions)
        for starts, hashed in _runs(codes, japanese):
            places = numbers[starts] * self.dimensions + (hashed >> np.uint32(8)) % self.dimensions
            signs = (hashed & np.uint32(1)) * 2.0 - 1.0
            rows += np.bincount(places, weights=signs, minlength=len(rows))
        matrix = rows.reshape(len(texts), self.dimensions).astype(np.float32)
        norms = np.linalg.norm(matrix, axis=1, keepdims=True)
        np.divide(matrix, norms, out=matrix, where=norms > 0)
        return matrix


def _runs(
    codes: _Codes, japanese: npt.NDArray[np.bool_]
) -> Iterator[tuple[npt.NDArray[np.intp], _Codes]]:
    """Where the runs of each length begin, and their hashes; no run mixes scripts or texts."""
    is_between = codes == ord(BETWEEN)
    hashed = np.zeros(len(codes), dtype=np.uint32)
    of_japanese = np.zeros(len(codes), dtype=np.int32)
    is_broken = np.zeros(len(codes), dtype=np.bool_)
    for length in range(1, LONGEST_RUN + 1):
        ahead = length - 1
        whole = max(len(codes) - ahead, 0)
        # what came before, without the starts that have too little behind them
        hashed = (hashed[:whole] ^ codes[ahead:]) * PRIME
        of_japanese = of_japanese[:whole] + japanese[ahead:]
        is_broken = is_broken[:whole] | is_between[ahead:]
        fits = np.zeros(whole, dtype=np.bool_)
        if length in JAPANESE_RUNS:
            fits |= of_japanese == length
        if length in LATIN_RUNS:
            fits |= of_japanese == 0
        starts = np.flatnonzero(fits & ~is_broken)
        mixed = hashed[starts] * MIX
        yield starts, mixed ^ (mixed >> np.uint32(15))
