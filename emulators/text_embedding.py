"""The emulated embedding model: texts that share pieces of words get vectors that point alike.

Signed feature hashing of runs of two and three letters. Always the same, no weights.
"""

from __future__ import annotations

import math
import unicodedata
import zlib

RUNS = (2, 3)


def embedding(text: str, dimensions: int, *, is_normalized: bool) -> list[float]:
    """The vector of a text; all zeros for one without letters."""
    vector = [0.0] * dimensions
    words = f" {' '.join(unicodedata.normalize('NFKC', text).casefold().split())} "
    for length in RUNS:
        for start in range(len(words) - length + 1):
            hashed = zlib.crc32(words[start : start + length].encode())
            vector[(hashed >> 1) % dimensions] += 1.0 if hashed & 1 else -1.0
    norm = math.sqrt(sum(value * value for value in vector))
    return [value / norm for value in vector] if is_normalized and norm else vector
