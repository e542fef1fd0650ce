"""How the emulated chat model words facts in Japanese and English. Pure wording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emulators.chat_prompt import Item


@dataclass(frozen=True, slots=True)
class Sentences:
    """One language. `told` answers a question for a fact, `parts` are facts in a list of such."""

    language: str
    intro: str
    nothing: str
    unknown: str
    whole: str
    bare: str
    between: str
    comma: str
    facts: Mapping[str, str]
    told: Mapping[str, str]
    parts: Mapping[str, str]
    status: Mapping[str, str]
    order: Sequence[str] = ("authors", "published_from", "status", "volumes", "genres")

    def value(self, item: Item, fact: str) -> str | None:
        """A fact as words; None where the prompt does not give it."""
        if fact == "authors":
            first, second = item.authors, item.authors_ja
            names = (second or first) if self.language == "ja" else (first or second)
            return self.comma.join(names) if names else None
        if fact == "genres":
            return self.comma.join(item.genres) if item.genres else None
        if fact == "status":
            return self.status.get(item.status or "", item.status)
        if fact == "published_from":
            return item.published_from[:4] if item.published_from else None
        return None if item.volumes is None else str(item.volumes)


JAPANESE = Sentences(
    language="ja",
    intro="カタログでご質問に近い作品をご紹介します。",
    nothing="申し訳ありません。カタログには、ご質問に合う作品が見つかりませんでした。",
    unknown="『{name}』の{fact}はカタログに載っていません。",
    whole="『{name}』（{parts}）。",
    bare="『{name}』。",
    between="",
    comma="、",
    facts={
        "authors": "作者",
        "volumes": "巻数",
        "status": "連載状況",
        "published_from": "開始年",
    },
    told={
        "authors": "『{name}』の作者は{value}です。",
        "volumes": "『{name}』は全{value}巻です。",
        "status": "『{name}』は{value}です。",
        "published_from": "『{name}』は{value}年に始まりました。",
    },
    parts={
        "authors": "作者：{value}",
        "published_from": "{value}年開始",
        "status": "{value}",
        "volumes": "{value}巻",
        "genres": "ジャンル：{value}",
    },
    status={
        "finished": "完結済み",
        "currently_publishing": "連載中",
        "on_hiatus": "休載中",
        "discontinued": "打ち切り",
    },
)

ENGLISH = Sentences(
    language="en",
    intro="These titles in the catalogue come closest to your question:",
    nothing="I am sorry, the catalogue has no title that fits your question.",
    unknown="The catalogue does not give the {fact} of {name}.",
    whole="{name} ({parts}).",
    bare="{name}.",
    between=" ",
    comma=", ",
    facts={
        "authors": "author",
        "volumes": "number of volumes",
        "status": "status",
        "published_from": "first year",
    },
    told={
        "authors": "{name} is by {value}.",
        "volumes": "{name} has {value} volumes.",
        "status": "{name} is {value}.",
        "published_from": "{name} began in {value}.",
    },
    parts={
        "authors": "by {value}",
        "published_from": "since {value}",
        "status": "{value}",
        "volumes": "{value} volumes",
        "genres": "{value}",
    },
    status={
        "finished": "finished",
        "currently_publishing": "ongoing",
        "on_hiatus": "on hiatus",
        "discontinued": "discontinued",
    },
)
