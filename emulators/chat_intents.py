"""What a question asks the emulated chat model for, told by its words in Japanese and English."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from emulators.chat_prompt import mentions

if TYPE_CHECKING:
    from collections.abc import Sequence

ASPECTS = {
    "authors": (
        "author", "authors", "wrote", "written", "writer", "drew", "drawn", "draw", "artist",
        "mangaka",
        "created", "creator", "作者", "著者", "作家", "漫画家", "描い", "書い",
    ),
    "volumes": ("volumes", "how long", "how many books", "何巻", "巻数"),
    "status": (
        "finished", "complete", "completed", "ongoing", "ended", "still running", "完結", "連載中",
        "終わ",
    ),
    "published_from": (
        "when", "year", "begin", "began", "start", "started", "come out", "came out", "いつ",
        "何年",
    ),
    "genres": ("genre", "genres", "ジャンル"),
}  # fmt: skip
"""The words by which a question asks for one fact."""

_UNTOLD = (
    "protagonist", "hero", "heroine", "main character", "character", "characters", "villain",
    "plot",
    "ending", "ends", "anime", "movie", "publisher", "magazine", "spoiler", "summary", "主人公",
    "ヒロイン",
    "あらすじ", "結末", "ラスト", "登場人物", "キャラ", "アニメ", "映画", "出版社", "掲載誌",
    "ネタバレ",
)  # fmt: skip
"""What customers ask and no catalogue line tells."""
_INTERROGATIVES = ("who", "why", "where", "how", "誰", "だれ", "なぜ", "どうして", "どこ")
_TIMES = ("when", "recently", "lately", "いつ", "最近")
_ENDS = ("end", "ended", "finish", "finished", "completed", "完結", "終わ")
_SHOP = (
    "price", "prices", "cost", "costs", "how much", "shipping", "ship", "deliver", "delivery",
    "return",
    "returns", "refund", "in stock", "payment", "pay", "値段", "価格", "いくら", "送料", "配送",
    "発送",
    "返品", "返金", "在庫", "支払",
)  # fmt: skip
_THANKS = ("thank you", "thanks", "thx", "ありがとう", "どうも")
_GREETINGS = (
    "hello", "hi", "hey", "good morning", "good evening", "こんにちは", "こんばんは", "おはよう",
    "はじめまして",
)  # fmt: skip
_SELF = (
    "who are you", "what are you", "what can you do", "your name", "are you human", "are you a bot",
    "あなたは誰", "あなたはだれ", "何ができ", "お名前", "あなたは何",
)  # fmt: skip
_AROUND = re.compile(r"\b(?:there|very|so|much|a lot|you|all)\b|ございます|ございました|[\W_]")
_POINTERS = (
    "it", "its", "he", "she", "they", "his", "her", "this one", "that one", "same author",
    "それ", "その", "この", "彼", "彼女", "同じ作者", "他に", "ほかに",
)  # fmt: skip
_OTHERS = ("else", "other", "others", "他に", "ほかに", "ほかの", "他の")
_LIKE = re.compile(
    r"(?:(?<!\bi )\blike|\b(?:similar|comparable|close) to|\balong the lines of|"
    r"\bin the (?:style|vein|spirit) of|\breminiscent of|\bresembl(?:es?|ing)|\bfans? of|"
    r"\bif (?:i|you|we) (?:like|love|enjoy)e?d?)\s*(?:the )?[\W_]*$"
)
"""Stands before the name of a work that others are to be like."""
_ALIKE = re.compile(
    r"[\W_]*(?:と同じような|[にと]似(?:た|てる|ている)|に近い|みたいな|のような|っぽい|風の|系の|"
    r"(?:が|を)?好き(?:な(?:人|方|ら)|に))"
)
"""Stands behind it in Japanese."""
STATUSES = {
    "currently_publishing": ("ongoing", "still running", "連載中"),
    "finished": ("finished", "complete", "completed", "ended", "完結"),
}
"""The words by which a question wants works of one status."""


def has(question: str, words: Sequence[str]) -> bool:
    """Whether the question has one of these."""
    return any(mentions(question, word) for word in words)


def aspects(question: str) -> list[str]:
    """The facts that it asks for."""
    return [fact for fact, words in ASPECTS.items() if has(question, words)]


def is_untold(question: str) -> bool:
    """Whether it asks for what no line of the catalogue has: also when a work ended."""
    return has(question, _UNTOLD) or (has(question, _TIMES) and has(question, _ENDS))


def is_open(question: str) -> bool:
    """Whether it asks for something, whatever that is."""
    return has(question, _INTERROGATIVES)


def points_back(question: str) -> bool:
    """Whether it speaks of what was said before."""
    return has(question, _POINTERS)


def wants_alike(before: str, behind: str) -> bool:
    """Whether it asks for works like the one whose name stands between these."""
    return _LIKE.search(before) is not None or _ALIKE.match(behind) is not None


def is_about_one(question: str) -> bool:
    """Whether what it asks for can only be told of one work."""
    asked = aspects(question)
    return "volumes" in asked or ("authors" in asked and is_open(question))


def wants_others(question: str) -> bool:
    """Whether it asks for works beside one."""
    return has(question, _OTHERS)


def small_talk(question: str) -> str | None:
    """Which sentence answers what is not about the catalogue; None for what may be."""
    if has(question, _SELF):
        return "self"
    if has(question, _SHOP):
        return "shop"
    for name, words in (("thanks", _THANKS), ("self", _GREETINGS)):
        if has(question, words) and not _rest(question.casefold(), words):
            return name
    return None


def _rest(question: str, words: Sequence[str]) -> str:
    for word in words:
        question = question.replace(word, " ")
    return _AROUND.sub("", question)
