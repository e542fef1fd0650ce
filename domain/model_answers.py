"""What is made of a model's words and of what search found: facts for the prompt, titles, digests.

Pure. Nothing is told or shown of a title that the catalogue of the moment does not have.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

from domain.catalogue import Catalogue, Title, item
from domain.events import Locale
from domain.genres import names_in
from domain.preferences import Preferences
from domain.prompts import Fact
from domain.questions import fold
from domain.search import Hit, Wanted, hit
from domain.sessions import Session, Turn
from domain.tastes import MAX_VALUES, Tastes

ALIASES = 3
"""Other names of a title that a prompt gives: customers use them, and each costs tokens."""

SHORT_ANSWER_CHARS = 120

FAVOURITE_GENRES = "favourite_genres"
"""What a feature says of them, and what customers turn out to ask for."""

_NO_PREFERENCES = Preferences()


@dataclass(frozen=True, slots=True)
class Background:
    """What is known before a question: of the talk so far, and of who asks.

    `is_sure` is whether the talk so far is known at all.
    """

    turns: Sequence[Turn] = ()
    summary: str = ""
    preferences: Preferences = _NO_PREFERENCES
    recent: Sequence[str] = ()
    tastes: Tastes = field(default_factory=dict)
    is_sure: bool = True

    @property
    def is_first(self) -> bool:
        """Whether it is certain that nothing was said before."""
        return self.is_sure and not self.turns and not self.summary

    def without_talk(self) -> "Background":
        """Without what was said, of which it only remains known whether there was any."""
        return replace(self, turns=(), summary="", is_sure=self.is_first)

    def digest(self) -> str:
        """The same for what would go into a prompt in the same words."""
        turns = [(turn.question, turn.answer_preview) for turn in self.turns]
        tastes = sorted((name, list(values)) for name, values in self.tastes.items())
        parts = (turns, self.summary, self.preferences.genres, list(self.recent), tastes)
        return sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()


NOTHING_KNOWN = Background()
"""What the answer to a question that anybody may be given is made from."""


def background(
    session: Session, event_id: str, turns: int, preferences: Preferences, recent: Sequence[str]
) -> Background:
    """What is known before the question of this event, which may be stored already itself."""
    answered = [
        turn for turn in session.in_order() if turn.answer_preview and turn.event_id != event_id
    ]
    return Background(answered[-turns:] if turns else (), session.summary, preferences, recent)


def facts(hits: Sequence[Hit], catalogue: Catalogue, locale: Locale) -> Sequence[Fact]:
    """What a prompt says of each hit: what the catalogue knows, whatever came with it.

    An index may be older than the catalogue, and others may be able to write to it. Genres are
    named as the locale names them.
    """
    told = []
    for title in listed((one.id for one in hits), catalogue):
        known = hit(title, 0.0)
        more = dict(_more(title))
        more["genres"] = names_in(locale, known.genres)
        told.append(known.fact() | {name: value for name, value in more.items() if value})
    return told


def compared(wanted: Wanted | None, catalogue: Catalogue) -> Sequence[Hit]:
    """The title that others are to be like: a prompt tells of it, and no answer shows it."""
    if wanted is None or wanted.like is None:
        return ()
    title = catalogue.get(wanted.like.title_id)
    return () if title is None else (hit(title, 0.0),)


def _more(title: Title) -> Fact:
    other = [name for name in title.names() if name not in {title.title, title.title_ja}]
    return {
        "aliases": [*other, *title.aliases][:ALIASES],
        "authors_ja": list(title.authors_ja),
        "status": title.status,
        "volumes": title.volumes,
    }


def customer(known: Background, catalogue: Catalogue) -> Mapping[str, object]:
    """What a prompt says of who asks: tastes, and nothing of titles that are gone."""
    titles = [catalogue.get(title_id) for title_id in known.recent]
    asked_for = known.preferences.genres
    favourites = dict.fromkeys([*asked_for, *known.tastes.get(FAVOURITE_GENRES, ())])
    told: dict[str, object] = {
        **known.tastes,
        FAVOURITE_GENRES: list(favourites)[: max(MAX_VALUES, len(asked_for))],
        "recent_titles": [title.title for title in titles if title is not None],
    }
    return {name: value for name, value in told.items() if value}


def wanted_text(question: str, known: Background) -> str:
    """What to search for: a question, and what was said before, which it goes on from.

    A short answer is part of that: it names an author rather than a list.
    """
    if not known.turns:
        return question
    last = known.turns[-1]
    tells = len(last.answer_preview) <= SHORT_ANSWER_CHARS and not last.is_retracted
    told = last.answer_preview if tells else ""
    return f"{question} {last.question} {told}".strip()


def listed(title_ids: Iterable[str], catalogue: Catalogue) -> Sequence[Title]:
    """Those of these titles that the catalogue has."""
    return [title for one in title_ids if (title := catalogue.get(one)) is not None]


def spoken_of(
    text: str, hits: Sequence[Hit], catalogue: Catalogue, locale: Locale
) -> Sequence[Mapping[str, object]]:
    """Those of the titles that a text names, as the API shows them, in the order of the hits."""
    folded = fold(text)
    return [
        item(title, locale)
        for title in listed((hit.id for hit in hits), catalogue)
        if any(_is_named(name, folded) for name in title.names())
    ]


def _is_named(name: str, text: str) -> bool:
    """Where a name begins or ends in Latin letters, a word must there too; Japanese has no gaps."""
    folded = fold(name)
    if not folded:
        return False
    before = "(?<![0-9a-z])" if folded[0].isascii() else ""
    after = "(?![0-9a-z])" if folded[-1].isascii() else ""
    return re.search(f"{before}{re.escape(folded)}{after}", text) is not None
