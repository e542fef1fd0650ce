"""The emulated chat model: a true answer, made only of the facts in the prompt, always the same.

It tells what is asked of a work that the question, or what was said before, names, and else names
the works given. Where the prompt says nothing of what is asked, it says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from emulators import chat_intents as intents
from emulators.chat_prompt import asked
from emulators.chat_sentences import ENGLISH, JAPANESE, Sentences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emulators.chat_prompt import Asked, Item

PRESENTED = 5
TOKEN = re.compile(r"\s?[A-Za-z0-9]{1,6}|\s?[^\sA-Za-z0-9]{1,2}|\s+")
"""Like a tokenizer's pieces in size: together they are the text again."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model says, piece by piece, and why it stopped."""

    tokens: list[str]
    input_tokens: int
    stop_reason: str

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self.tokens)


def reply(system: str, messages: Sequence[str], max_tokens: int) -> Reply:
    """The answer to the last of these messages."""
    tokens = TOKEN.findall(answer(asked(system, messages[-1], messages[:-1])))
    read = sum(len(TOKEN.findall(text)) for text in (system, *messages))
    is_cut = len(tokens) > max_tokens
    return Reply(tokens[:max_tokens], read, "max_tokens" if is_cut else "end_turn")


def instead(said: Reply, text: str) -> Reply:
    """What a model says that minds neither its prompt nor how much it may say."""
    return replace(said, tokens=TOKEN.findall(text), stop_reason="end_turn") if text else said


def answer(what: Asked) -> str:
    """The whole text of the answer."""
    say = JAPANESE if what.language == "ja" else ENGLISH
    named = what.named()
    rest = what.beside(named)
    talk = intents.small_talk(rest)
    if talk is not None:
        return say.talk[talk]
    asks_a_fact = bool(intents.aspects(rest)) or intents.is_untold(rest)
    if not named and asks_a_fact and intents.points_back(rest):
        named = what.spoken_of()
        if not named:
            return say.which
    if named and intents.wants_others(rest) and "authors" in intents.aspects(rest):
        return _others(named[0], what, say)
    if named and intents.wants_alike(*what.around(named[0])):
        return _alike(named[0], what, say)
    if named:
        return say.between.join(_about(item, rest, say) for item in named[:PRESENTED])
    return _listed(what, say)


def _listed(what: Asked, say: Sentences) -> str:
    if intents.is_untold(what.question):
        return say.untold
    items = _of_wanted_status(what.items, what.question)
    if not items:
        return say.nothing
    intro = say.unsure if intents.is_about_one(what.question) else say.intro
    return intro.format(names=_names(items, say))


def _of_wanted_status(items: Sequence[Item], question: str) -> list[Item]:
    wanted = [status for status, words in intents.STATUSES.items() if intents.has(question, words)]
    return [item for item in items if not wanted or item.status in wanted]


def _names(items: Sequence[Item], say: Sentences) -> str:
    return say.comma.join(
        say.called.format(name=item.name(say.language)) for item in items[:PRESENTED]
    )


def _about(item: Item, question: str, say: Sentences) -> str:
    name = say.called.format(name=item.name(say.language))
    if intents.is_untold(question):
        return say.untold_of.format(name=name)
    wanted = intents.aspects(question)
    if wanted:
        return say.between.join(_fact(item, name, fact, say) for fact in wanted)
    if intents.is_open(question):
        return say.untold_of.format(name=name)
    known = [fact for fact in say.order if say.value(item, fact) is not None]
    if not known:
        return say.bare.format(name=name)
    names = (name, *[say.again] * (len(known) - 1))
    facts = [_fact(item, called, fact, say) for called, fact in zip(names, known, strict=True)]
    return say.between.join(facts)


def _fact(item: Item, name: str, fact: str, say: Sentences) -> str:
    value = say.value(item, fact)
    if value is None:
        return say.unknown.format(name=name, fact=say.facts[fact])
    return say.told[fact].format(name=name, value=value)


def _alike(item: Item, what: Asked, say: Sentences) -> str:
    """The other works given that share a genre with this one: nothing else tells likeness."""
    genres = set(item.genres or ())
    alike = [
        other
        for other in _of_wanted_status(what.items, what.beside([item]))
        if other != item and genres & set(other.genres or ())
    ]
    name = say.called.format(name=item.name(say.language))
    if not alike:
        return say.no_alike.format(name=name)
    return say.alike.format(name=name, names=_names(alike, say))


def _others(item: Item, what: Asked, say: Sentences) -> str:
    """The other works given that share an author with this one."""
    authors = {*(item.authors or ()), *(item.authors_ja or ())}
    others = [
        other
        for other in what.items
        if other != item and authors & {*(other.authors or ()), *(other.authors_ja or ())}
    ]
    by = say.value(item, "authors")
    if by is None or not others:
        return say.no_others
    return say.others.format(authors=by, names=_names(others, say))
