"""Whether a question goes on from what was said before, or has a subject of its own. Pure.

One that goes on refers back ("who drew it?") or names nothing ("how many volumes?"). Any other is
looked for by its own words alone: with those of a turn before it would find that turn's titles.
"""

import re
from collections.abc import Iterable

from domain.gist import Gist
from domain.questions import fold


class GoingOn:
    """Tells by words that refer back; `gist` leaves what names something."""

    def __init__(self, latin: Iterable[str], japanese: Iterable[str], gist: Gist) -> None:
        """Latin words are whole ones, Japanese ones stand anywhere."""
        whole = (rf"(?<![0-9a-z]){re.escape(fold(word))}(?![0-9a-z])" for word in latin)
        anywhere = (re.escape(fold(word)) for word in japanese)
        self._refers = re.compile("|".join((*whole, *anywhere)))
        self._gist = gist

    def __call__(self, question: str) -> bool:
        """Whether what was said before belongs to what this asks."""
        return bool(self._refers.search(fold(question))) or not self._gist.words(question)
