"""How the emulated chat model words facts in Japanese and English. Pure wording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emulators.chat_prompt import Item


@dataclass(frozen=True, slots=True)
class Sentences:
    """One language. `told` answers a question for a fact, `talk` what is not for the catalogue."""

    language: str
    intro: str
    unsure: str
    nothing: str
    unknown: str
    untold: str
    untold_of: str
    which: str
    others: str
    no_others: str
    alike: str
    no_alike: str
    bare: str
    called: str
    again: str
    between: str
    comma: str
    facts: Mapping[str, str]
    told: Mapping[str, str]
    talk: Mapping[str, str]
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
    intro="カタログでご質問に近い作品です：{names}。",
    unsure="どの作品のことか分かりませんでした。カタログで近い作品です：{names}。",
    nothing="申し訳ありません。ご質問に合う作品は見つかりませんでした。",
    unknown="{name}の{fact}はカタログに載っていません。",
    untold="申し訳ありません。そのことはカタログに載っていません。",
    untold_of="申し訳ありません。{name}のそのことはカタログに載っていません。",
    which="どの作品のことでしょうか。題名を教えてください。",
    others="{authors}の作品はほかに{names}が見つかりました。",
    no_others="同じ作者のほかの作品は見つかりませんでした。",
    alike="{name}と同じジャンルの作品です：{names}。",
    no_alike="{name}に似た作品は見つかりませんでした。",
    bare="{name}はカタログにあります。",
    called="『{name}』",
    again="同作",
    between="",
    comma="、",
    facts={
        "authors": "作者",
        "volumes": "巻数",
        "status": "連載状況",
        "published_from": "開始年",
        "genres": "ジャンル",
    },
    told={
        "authors": "{name}の作者は{value}です。",
        "volumes": "{name}は全{value}巻です。",
        "status": "{name}は{value}です。",
        "published_from": "{name}は{value}年に始まりました。",
        "genres": "{name}のジャンルは{value}です。",
    },
    talk={
        "self": "漫画カタログの案内係です。"
        "作品の題名、作者、ジャンル、開始年、連載状況をお調べします。",
        "thanks": "どういたしまして。作品についてまたお尋ねください。",
        "shop": "価格、在庫、配送、返品についてはお答えできません。店の画面でご確認ください。",
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
    intro="These titles in the catalogue come closest to your question: {names}.",
    unsure="I am not sure which title you mean. The closest in the catalogue: {names}.",
    nothing="I am sorry, I found no title in the catalogue that fits your question.",
    unknown="The catalogue does not give the {fact} of {name}.",
    untold="I am sorry, the catalogue does not tell that.",
    untold_of="I am sorry, the catalogue does not tell that about {name}.",
    which="Which title do you mean?",
    others="Also by {authors}: {names}.",
    no_others="I found no other title by the same author.",
    alike="These share a genre with {name}: {names}.",
    no_alike="I found no title that is like {name}.",
    bare="{name} is in the catalogue.",
    called="{name}",
    again="It",
    between=" ",
    comma=", ",
    facts={
        "authors": "author",
        "volumes": "number of volumes",
        "status": "status",
        "published_from": "first year",
        "genres": "genres",
    },
    told={
        "authors": "{name} is by {value}.",
        "volumes": "{name} has {value} volumes.",
        "status": "{name} is {value}.",
        "published_from": "{name} began in {value}.",
        "genres": "{name} belongs to {value}.",
    },
    talk={
        "self": "I am the assistant of the manga catalogue. I can look up titles, authors, genres, "
        "first years and whether a series is finished.",
        "thanks": "You are welcome. Ask me about any other title.",
        "shop": "I cannot tell prices, stock, delivery or returns: please see the store's pages.",
    },
    status={
        "finished": "finished",
        "currently_publishing": "ongoing",
        "on_hiatus": "on hiatus",
        "discontinued": "discontinued",
    },
)
