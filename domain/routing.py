"""Which size of model a question needs: a small one unless the question shows that it is hard."""

from collections.abc import Iterable
from enum import StrEnum

from domain.prompts import estimated_tokens
from domain.questions import fold, squash


class Size(StrEnum):
    """The models that there are to choose from."""

    SMALL = "small"
    LARGE = "large"


class Router:
    """Chooses by length and by phrases of comparing, explaining and weighing."""

    def __init__(self, long_question_tokens: int, phrases: Iterable[str]) -> None:
        self._long = long_question_tokens
        folded = [fold(phrase) for phrase in phrases]
        self._latin = tuple(f" {phrase} " for phrase in folded if phrase.isascii())
        self._japanese = tuple(squash(phrase) for phrase in folded if not phrase.isascii())

    def size(self, question: str) -> Size:
        """The size of model for this question."""
        if estimated_tokens(question) > self._long:
            return Size.LARGE
        folded = fold(question)
        spaced, squashed = f" {folded} ", squash(folded)
        is_hard = any(phrase in spaced for phrase in self._latin) or any(
            phrase in squashed for phrase in self._japanese
        )
        return Size.LARGE if is_hard else Size.SMALL
