"""Where the answers to questions lie in Redis, and what the events say that they were about."""

from dataclasses import dataclass

from domain.answers import AnswerKey
from domain.questions import Question, QuestionKind

MAX_PLACES = 4 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """Where the answer to a question lies, and what the event says it was about."""

    key: str
    fallback_key: str
    own: AnswerKey
    fallback: AnswerKey


class Places:
    """The places that questions were about lately."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, str, str], Place] = {}

    def of(self, question: Question) -> Place:
        """Where the answer lies; a question that has none of its own gets the fallback."""
        asked = (question.kind, question.slug, question.locale)
        place = self._places.get(asked)
        if place is None:
            if len(self._places) >= MAX_PLACES:
                self._places.clear()
            place = self._places[asked] = _place(question)
        return place


def _place(question: Question) -> Place:
    fallback = AnswerKey("fallback", "", question.locale)
    is_chat = question.kind == QuestionKind.CHAT
    own = fallback if is_chat else AnswerKey(question.kind, question.slug, question.locale)
    fallback_key = fallback.redis_key()
    # Whether both are the same object is looked at later.
    key = fallback_key if is_chat else own.redis_key()
    return Place(key, fallback_key, own, fallback)
