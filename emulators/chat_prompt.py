"""What a chat model is asked: the question and the facts that stand in the prompt itself.

Facts are lines of the last message that hold a JSON object with a title; the question is a JSON
string in <question> tags, or else what remains of the message. Knows no other source of facts.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

JAPANESE = re.compile("[ぁ-ヿ㐀-䶿一-鿿豈-﫿ｦ-ﾟ]")
QUESTION = re.compile(r"<question>(.*?)</question>", re.DOTALL)
TAG = re.compile(r"</?[a-z_]+>")


class Item(msgspec.Struct, frozen=True):
    """A work as the prompt describes it; what it does not say is None or empty."""

    title: str = ""
    title_ja: str | None = None
    aliases: list[str] = []
    authors: list[str] | None = None
    authors_ja: list[str] | None = None
    genres: list[str] | None = None
    published_from: str | None = None
    status: str | None = None
    volumes: int | None = None

    def name(self, language: str) -> str:
        """What to call it in this language."""
        return (self.title_ja or self.title) if language == "ja" else (self.title or self.names[0])

    @property
    def names(self) -> list[str]:
        """Every name that the prompt gives."""
        return [name for name in (self.title, self.title_ja) if name] or [""]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, the language to answer in, and what is known."""

    question: str
    language: str
    items: list[Item] = field(default_factory=list)
    before: Sequence[str] = ()
    """The messages before it, oldest first."""

    def named(self) -> list[Item]:
        """The works that the question names, in the order of the prompt."""
        return self._named_in(self.question)

    def spoken_of(self) -> list[Item]:
        """The works that the last message to name any did."""
        return next(filter(None, map(self._named_in, reversed(self.before))), [])

    def beside(self, named: Sequence[Item]) -> str:
        """The question without the names of these works."""
        names = {_folded(name) for item in named for name in (*item.names, *item.aliases)}
        rest = _folded(self.question)
        for name in sorted(names, key=len, reverse=True):
            if mentions(rest, name):
                rest = rest.replace(name, " ")
        return rest

    def around(self, item: Item) -> tuple[str, str]:
        """The question before and behind the longest name of this work that stands in it."""
        question = _folded(self.question)
        for name in sorted(map(_folded, (*item.names, *item.aliases)), key=len, reverse=True):
            if name and mentions(question, name) and name in question:
                before, _, behind = question.partition(name)
                return before, behind
        return question, ""

    def _named_in(self, text: str) -> list[Item]:
        return [
            item
            for item in self.items
            if any(mentions(text, name) for name in (*item.names, *item.aliases))
        ]


def asked(system: str, message: str, before: Sequence[str] = ()) -> Asked:
    """What the last message of a conversation asks, under these instructions."""
    items: list[Item] = []
    rest: list[str] = []
    for line in message.splitlines():
        item = _item(line)
        if item is None:
            rest.append(line)
        else:
            items.append(item)
    question = _question("\n".join(rest))
    language = "ja" if JAPANESE.search(system or question) else "en"
    return Asked(question, language, items, before)


def mentions(text: str, words: str) -> bool:
    """Whether words stand in a text; width, case and more spaces than one say nothing.

    Latin words must begin and end there as words, Japanese ones need no gap around them.
    """
    text, words = _folded(text), _folded(words)
    if not words:
        return False
    if words.isascii():
        return re.search(rf"(?<![a-z0-9]){re.escape(words)}(?![a-z0-9])", text) is not None
    return words.replace(" ", "") in text.replace(" ", "")


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _item(line: str) -> Item | None:
    if not line.lstrip().startswith("{"):
        return None
    try:
        item = msgspec.json.decode(line, type=Item)
    except msgspec.DecodeError:
        return None
    return item if item.title or item.title_ja else None


def _question(text: str) -> str:
    tagged = QUESTION.findall(text)
    if not tagged:
        return TAG.sub("", text).strip()
    try:
        return msgspec.json.decode(tagged[-1], type=str)
    except msgspec.DecodeError:
        return str(tagged[-1]).strip()
