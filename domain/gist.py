"""What of a question may name a title or its kind: the question without the words around a wish.

Japanese is parted by script: what is left of hiragana after the stop words are particles, unless it
is long.
"""

import re
import unicodedata
from collections.abc import Iterable

MIN_HIRAGANA = 3
"""Letters that a run of hiragana must have to be more than particles."""

_RUN = re.compile(r"[0-9A-Za-zÀ-ɏ]+|[ァ-ヺー]+|[ぁ-ゖー]+|[^\W0-9A-Za-zÀ-ɏぁ-ヺー]+")
_HIRAGANA = re.compile(r"[ぁ-ゖー]+")


class Gist:
    """Takes stop words out of questions."""

    def __init__(self, latin: Iterable[str], japanese: Iterable[str]) -> None:
        self._latin = frozenset(latin)
        # the longest first, or a part of it would be all that goes
        longest_first = sorted(map(re.escape, japanese), key=len, reverse=True)
        self._japanese = re.compile("|".join(longest_first) or r"(?!)")

    def of(self, question: str) -> str:
        """The words that are left; the question itself where none are."""
        return self.words(question) or question

    def words(self, question: str) -> str:
        """The words that are left, if any."""
        text = unicodedata.normalize("NFKC", question)
        left = [run for run in _RUN.findall(self._japanese.sub(" ", text)) if self._tells(run)]
        return " ".join(left)

    def _tells(self, run: str) -> bool:
        if _HIRAGANA.fullmatch(run):
            return len(run) >= MIN_HIRAGANA
        return run.casefold() not in self._latin
