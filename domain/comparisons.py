"""Which title a question compares with ("like X", "Xみたいな"), and what makes others like it.

What is alike shares genres and demographics, a rare one counting for more than one that many have.
Pure; what names a title is told by whoever reads questions.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Iterator
from itertools import islice

from domain.catalogue import Catalogue
from domain.search import Comparison, genre_slugs

MAX_CUTS = 12
"""Places at which the name may end, or begin: a name has fewer words."""
MAX_COMPARED = 3
"""Comparisons in one question that are looked at."""
MAX_NAME_CHARS = 60
MIN_HIRAGANA, MAX_HIRAGANA = 4, 16
"""So many letters of hiragana may be a name although more of them stand before it."""
STEPS = 8
"""Weights are so many parts of one, so that every index adds them up to exactly the same."""

_BEFORE = re.compile(
    r"(?:(?P<no_comparison>\b(?:i|you|we|they|people|would|d|ll|do|does|did|really|also|not|t|feel|"
    r"looks?|sounds?|what|to)\s+)?\blike|\b(?:similar|comparable|close) to|\balong the lines of|"
    r"\bin the (?:style|vein|spirit) of|\breminiscent of|\bresembl(?:es?|ing)|\bfans? of|"
    r"\bif (?:i|you|we) (?:like|love|enjoy)e?d?)\s+(?!to\b)",
    re.IGNORECASE,
)
"""Stands before a name in English. "I like X" compares nothing."""
_AFTER = re.compile(
    r"と同じような|[にと]似(?:た|てる|ている)|に近い|みたいな|のような|っぽい|風の|系の|"
    r"(?:が|を)?好き(?:な(?:人|方|ら)|に)"
)
"""Stands behind a name in Japanese."""
_WORD = re.compile(r"\S+")
_HIRAGANA = re.compile(r"[ぁ-ゖー]+")
_RUN = re.compile(r"[0-9A-Za-zÀ-ɏ]+|[ァ-ヺー]+|[ぁ-ゖー]+|[一-鿿々]+")

TitleNamed = Callable[[str], str | None]
"""The id of the title that a text names and says nothing beside, if it is one."""


class Comparisons:
    """Finds the title that a question compares with, in the catalogue of the moment."""

    def __init__(self, title_named: TitleNamed, catalogue: Callable[[], Catalogue | None]) -> None:
        self._title_named = title_named
        self._catalogue = catalogue

    def of(self, question: str) -> tuple[Comparison, str] | None:
        """What others are to be like, and the question without it; None where there is none."""
        catalogue = self._catalogue()
        if catalogue is None:
            return None
        for name, rest in compared_names(question):
            title_id = self._title_named(name)
            if title_id is not None and title_id in catalogue.titles:
                return comparison(title_id, catalogue), rest
        return None


def comparison(title_id: str, catalogue: Catalogue) -> Comparison:
    """What makes others like a title of the catalogue."""
    listed = len(catalogue.by_popularity)
    weights = []
    for slug in genre_slugs(catalogue.titles[title_id]):
        having = len(catalogue.of_genre(slug))
        weight = round(STEPS * math.log(1 + listed / having)) if having else 0
        if weight:
            weights.append((slug, weight / STEPS))
    return Comparison(title_id, tuple(weights))


def compared_names(question: str) -> Iterator[tuple[str, str]]:
    """What may be the name of a title that is compared with, the longest first, and the rest."""
    text = unicodedata.normalize("NFKC", question)
    for found in islice(_BEFORE.finditer(text), MAX_COMPARED):
        words = list(islice(_WORD.finditer(text, found.end()), MAX_CUTS))
        for word in () if found["no_comparison"] else reversed(words):
            rest = f"{text[: found.start()]} {text[word.end() :]}"
            yield text[found.end() : word.end()], rest
    for found in islice(_AFTER.finditer(text), MAX_COMPARED):
        for start in _beginnings(text, found.start()):
            yield text[start : found.start()], f"{text[:start]} {text[found.end() :]}"


def _beginnings(text: str, end: int) -> list[int]:
    """Where a Japanese name that ends there may begin: with a script, or within hiragana."""
    runs = list(_RUN.finditer(text, max(0, end - MAX_NAME_CHARS), end))[-MAX_CUTS:]
    starts = [run.start() for run in runs]
    if runs and runs[-1].end() == end and _HIRAGANA.fullmatch(runs[-1][0]):
        starts += range(max(starts[-1] + 1, end - MAX_HIRAGANA), end - MIN_HIRAGANA + 1)
    return starts
