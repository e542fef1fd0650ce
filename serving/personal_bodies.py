"""Bodies of recommendations, read again: which titles one recommends, and a shorter one.

A shorter one has the first items as they are; its text speaks of these alone.
"""

from collections.abc import Sequence

import msgspec

from domain import sentences
from domain.catalogue import Title
from domain.events import Locale
from domain.personal_answers import text_of
from domain.recommendations import FILLED, Recommended
from domain.sentences import Phrases


class _Item(msgspec.Struct):
    id: str
    title: str
    title_ja: str | None = None
    score: float = FILLED

    def as_title(self) -> Title:
        return Title(self.id, self.title, self.title_ja)


class _Items(msgspec.Struct):
    text: str
    items: list[msgspec.Raw]
    kind: str
    locale: Locale

    def read(self) -> list[_Item]:
        return [msgspec.json.decode(one, type=_Item) for one in self.items]


class _Body(msgspec.Struct):
    answer: _Items
    generated_at: str
    version: int


def recommended(body: bytes) -> Sequence[Recommended]:
    """Which titles a stored body recommends, best first."""
    return [Recommended(one.id, one.score) for one in _decoded(body).answer.read()]


def cut_own(body: bytes, limit: int, phrases: Phrases) -> bytes:
    """The first titles of a user's own answer, which names the chosen ones that it has."""
    document = _decoded(body)
    answer = document.answer
    chosen = [one.as_title() for one in answer.read() if one.score != FILLED]
    if limit <= len(chosen):
        answer.text = text_of(phrases, answer.locale, chosen[:limit], [])
    return _encoded(document, limit)


def cut_popular(body: bytes, limit: int, phrases: Phrases) -> bytes:
    """The first titles of an answer that names all of its titles in a row."""
    document = _decoded(body)
    answer = document.answer
    titles = [one.as_title() for one in answer.read()]
    if titles:
        row, shorter = (
            sentences.names(phrases, answer.locale, some) for some in (titles, titles[:limit])
        )
        answer.text = answer.text.replace(row, shorter)
    return _encoded(document, limit)


def _decoded(body: bytes) -> _Body:
    return msgspec.json.decode(body + b"}", type=_Body)


def _encoded(document: _Body, limit: int) -> bytes:
    document.answer.items = document.answer.items[:limit]
    return msgspec.json.encode(document)[:-1]
