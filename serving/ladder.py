"""What answers where there is no fresh answer: the steps of the declared ladder below it.

The published answers and the built-in one are every turn's own (`serving/turn.py`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec

from config.budgets import Rung
from domain import sentences
from domain.answers import Answer, AnswerKey
from domain.catalogue import Catalogue, item
from domain.errors import Malformed
from domain.events import Locale
from domain.model_answers import listed
from domain.response_cache import Asked, StoredResponse
from domain.search import Hit
from domain.sentences import Phrases
from serving.answers import Seen
from serving.response_cache import ResponseCache


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """The ladder of a process; `before` is the version of the catalogue before this one."""

    rungs: Sequence[Rung]
    cache: ResponseCache
    catalogue: Callable[[], Catalogue | None]
    before: Callable[[], str | None]
    phrases: Phrases

    async def previous(self, asked: Asked | None, seconds: float) -> StoredResponse | None:
        """The response made from the catalogue before, if all its titles are still there."""
        before, catalogue = self.before(), self.catalogue()
        if asked is None or before is None or catalogue is None or seconds <= 0:
            return None
        response = await self.cache.kept(replace(asked, catalogue=before), seconds)
        if response is None or not _has_all(response, catalogue):
            return None
        return response

    def found(self, hits: Sequence[Hit], locale: Locale, now: float) -> Seen | None:
        """The titles that search found, in a ready sentence; None where there are none."""
        return self._said("found", [hit.id for hit in hits], locale, now)

    def trending(self, body: bytes, locale: Locale, now: float) -> Seen | None:
        """The titles of a stored answer that really draw attention; None where there are none."""
        return self._said("trending_instead", _counted(body), locale, now)

    def _said(
        self, sentence: str, title_ids: Sequence[str], locale: Locale, now: float
    ) -> Seen | None:
        catalogue = self.catalogue()
        titles = listed(title_ids, catalogue) if catalogue is not None else ()
        if not titles:
            return None
        shown = sentences.names(self.phrases, locale, titles)
        text = self.phrases.say(locale, sentence, titles=shown)
        items = [item(title, locale) for title in titles]
        answer = Answer(AnswerKey("fallback", "", locale), text, items)
        return made(answer, now)


def seen(response: StoredResponse) -> Seen:
    """A response as every route sends answers."""
    return Seen(
        b"",
        response.body,
        response.generated_at,
        response.soft_expires_at,
        response.hard_expires_at,
    )


def made(answer: Answer, now: float) -> Seen:
    """An answer that was made just now, and is kept nowhere."""
    return Seen(b"", answer.body(0, now), now, now, now)


class _Item(msgspec.Struct):
    id: str
    score: float = 0.0


class _Items(msgspec.Struct):
    items: list[_Item]


class _Body(msgspec.Struct):
    answer: _Items


def _counted(body: bytes) -> Sequence[str]:
    """The titles with a score; those without one only fill the list."""
    try:
        items = msgspec.json.decode(body + b"}", type=_Body).answer.items
    except msgspec.DecodeError:
        return []
    return [item.id for item in items if item.score > 0]


def _has_all(response: StoredResponse, catalogue: Catalogue) -> bool:
    try:
        items = response.answer()["items"]
    except Malformed:
        return False
    if not isinstance(items, list):
        return False
    return all(isinstance(one, dict) and catalogue.get(str(one.get("id"))) for one in items)
