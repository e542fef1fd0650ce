"""When two questions that are worded differently ask the same, and how often that was wrong.

Likeness of vectors alone takes "A before B" for "B before A" and "with" for "without". So a match
also needs the same sense: the same words that carry meaning, in the same order. Negations, numbers
and names are among them, since only words that are declared free may differ.
"""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from domain.questions import JAPANESE
from domain.response_cache import normalised

Z_95 = 1.959964
"""Standard deviations on either side of a 95% interval."""
MIN_WORDS, MIN_CHARS = 2, 5
"""A question with fewer words of meaning (in Japanese: letters) is like too many others."""

_LATIN_WORD = re.compile(
    r"[a-z0-9]+(?:['.\-][a-z0-9]+)*[+#]*|[^\W\da-z_]+|[^\s\w?,.!:;'\"()\[\]\-]"
)
_JAPANESE_WORD = re.compile(
    "[a-z0-9]+(?:[.-][a-z0-9]+)*[+#]*|[ァ-ヿー]+|[一-鿿々]+|ない|ません|なかった|[ぁ-ん]+"
    "|[^\\s\\w。、・「」『』（）()]"
)
_ACRONYM = re.compile(r"\b[A-Z]{2,}\b")
_PLURAL_CHARS = 4
"""Shorter words are not taken for plurals: "is", "his", "bus"."""


@dataclass(frozen=True, slots=True)
class SenseRules:
    """The declared words, normalised: which say nothing, and which stand for another one."""

    free_en: frozenset[str]
    free_ja: frozenset[str]
    same: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sense:
    """What has to be the same in two questions that ask the same.

    Japanese has no spaces, and the free words do not part the others: `words` are letters there.
    """

    words: tuple[str, ...]
    acronyms: tuple[str, ...]
    says_enough: bool
    """Whether there is enough of it to be compared."""

    @classmethod
    def of(cls, question: str, rules: SenseRules) -> "Sense":
        """The sense of a question."""
        text = normalised(question)
        if JAPANESE.search(text):
            kept = (word for word in _JAPANESE_WORD.findall(text) if word not in rules.free_ja)
            words, least = list("".join(kept)), MIN_CHARS
        else:
            found = (rules.same.get(word, word) for word in _LATIN_WORD.findall(text))
            words, least = [_singular(it) for it in found if it not in rules.free_en], MIN_WORDS
        acronyms = tuple(sorted(_ACRONYM.findall(question)))
        return cls(tuple(words), acronyms, says_enough=len(words) >= least)


@dataclass(frozen=True, slots=True)
class Compared:
    """How many matches were compared with the model's own answer, and how many were wrong."""

    number: int = 0
    wrong: int = 0

    @property
    def rate(self) -> float:
        """The false-hit rate as it was seen."""
        return self.wrong / self.number if self.number else 0.0

    def interval(self) -> tuple[float, float]:
        """The 95% interval of the false-hit rate (Wilson), which holds for few comparisons too.

        https://doi.org/10.1080/01621459.1927.10502953
        """
        if not self.number:
            return 0.0, 1.0
        n, share = self.number, self.rate
        middle = share + Z_95**2 / (2 * n)
        spread = Z_95 * math.sqrt(share * (1 - share) / n + Z_95**2 / (4 * n * n))
        scale = 1 + Z_95**2 / n
        return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)

    def is_too_wrong(self, limit: float) -> bool:
        """Whether the rate is above the limit, with that confidence."""
        return self.wrong > 0 and self.interval()[0] > limit


def likeness(one: Sequence[float], other: Sequence[float]) -> float:
    """The cosine of two vectors of length 1."""
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A question of the reviewed public set, as others are compared with it."""

    question: str
    locale: str
    sense: Sense
    vector: Sequence[float] = field(repr=False)


def overlap(one: Collection[object], other: Collection[object]) -> float:
    """The share of what two collections have in common; 1 for two that are empty."""
    together = set(one) | set(other)
    return len(set(one) & set(other)) / len(together) if together else 1.0


def _singular(word: str) -> str:
    if len(word) <= _PLURAL_CHARS or not word.isascii():
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("ses", "xes", "zes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word
