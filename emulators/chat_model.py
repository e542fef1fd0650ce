"""The emulated chat model: a true answer, made only of the facts in the prompt, always the same.

It tells what is asked of a work that the question names, and else presents the works given. Where
the prompt says nothing, so does the answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emulators.chat_prompt import asked, mentions
from emulators.chat_sentences import ENGLISH, JAPANESE, Sentences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emulators.chat_prompt import Asked, Item

PRESENTED = 5
TOKEN = re.compile(r"\s?[A-Za-z0-9]{1,6}|\s?[^\sA-Za-z0-9]{1,2}|\s+")
"""Like a tokenizer's pieces in size: together they are the text again."""

ASPECTS = {
    "authors": ("who", "author", "wrote", "written", "drew", "作者", "誰", "だれ", "著者"),
    "volumes": ("volumes", "how long", "何巻", "巻数"),
    "status": ("finished", "complete", "ongoing", "ended", "完結", "連載中", "終わ"),
    "published_from": ("when", "year", "begin", "began", "start", "started", "いつ", "何年"),
}
"""The words by which a question asks for one fact."""


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
    tokens = TOKEN.findall(answer(asked(system, messages[-1])))
    read = sum(len(TOKEN.findall(text)) for text in (system, *messages))
    is_cut = len(tokens) > max_tokens
    return Reply(tokens[:max_tokens], read, "max_tokens" if is_cut else "end_turn")


def answer(what: Asked) -> str:
    """The whole text of the answer."""
    say = JAPANESE if what.language == "ja" else ENGLISH
    if not what.items:
        return say.nothing
    named = what.named()
    if named:
        sentences = [_about(item, what, say) for item in named[:PRESENTED]]
    else:
        sentences = [say.intro, *(_presented(item, say) for item in what.items[:PRESENTED])]
    return say.between.join(sentences)


def _about(item: Item, what: Asked, say: Sentences) -> str:
    wanted = [
        fact
        for fact, words in ASPECTS.items()
        if any(mentions(what.question, word) for word in words)
    ]
    if not wanted:
        return _presented(item, say)
    return say.between.join(_fact(item, fact, say) for fact in wanted)


def _fact(item: Item, fact: str, say: Sentences) -> str:
    value = say.value(item, fact)
    name = item.name(say.language)
    if value is None:
        return say.unknown.format(name=name, fact=say.facts[fact])
    return say.told[fact].format(name=name, value=value)


def _presented(item: Item, say: Sentences) -> str:
    known = [(fact, say.value(item, fact)) for fact in say.order]
    parts = [say.parts[fact].format(value=value) for fact, value in known if value is not None]
    name = item.name(say.language)
    if not parts:
        return say.bare.format(name=name)
    return say.whole.format(name=name, parts=say.comma.join(parts))
