"""The answers that every server of the hit path serves: one size, made up, in the real format.

`publish` puts them where the product finds them, and the same JSON under a plain key for the
implementations that know nothing of the product's format.
"""

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

from domain.answers import Answer, AnswerKey, StoredAnswer, store
from domain.events import Locale

PLAIN_KEY = "bench:answer"
BODY_BYTES = 5 * 1024

_MARKS = "。！？!?"


def answer(key: AnswerKey, size: int = BODY_BYTES) -> StoredAnswer:
    """An answer whose body has this size, to the byte."""
    now = time.time()
    version = int(now * 1000)
    items: list[dict[str, object]] = []
    body = Answer(key, "", items).body(version, now)
    for number in itertools.count(1):
        longer = [*items, _item(number)]
        if len(Answer(key, "", longer).body(version, now)) > size:
            break
        items = longer
    body = Answer(key, "", items).body(version, now)
    text = "人気の作品です。" if key.locale == "ja" else "These are the popular ones. "
    filled = _cut(text * (size // len(text.encode()) + 1), size - len(body))
    return store(
        Answer(key, filled, items),
        version=version,
        now=now,
        ttl_seconds=3600,
        hard_ttl_seconds=36_000,
    )


def whole(stored: StoredAnswer) -> bytes:
    """The body as complete JSON."""
    return stored.body + b"}"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of the mix and the answer that it must get."""

    message: str
    key: AnswerKey


def asked(message: str, kind: str, slug: str, locale: Locale) -> Asked:
    """A row of the mix."""
    return Asked(message, AnswerKey(kind, slug, locale))


MIX: Sequence[Asked] = (
    asked("what's popular this week", "trending", "", "en"),
    asked("今週の人気", "trending", "", "ja"),
    asked("trending manga", "trending", "", "en"),
    asked("人気ランキング", "trending", "", "ja"),
    asked("new releases", "new_releases", "", "en"),
    asked("新刊", "new_releases", "", "ja"),
    asked("show me shonen", "genre", "shonen", "en"),
    asked("少年漫画おすすめ", "genre", "shonen", "ja"),
)
"""Questions that a customer of the store asks; each is answered from a precomputed set."""


def varied(count: int) -> list[Asked]:
    """The mix worded so often differently: no two messages alike, so nobody can remember one.

    English varies by case and Japanese by its closing marks; either has to be read anew.
    """
    rounds = -(-count // len(MIX))
    return [
        Asked(_worded(row.message, number), row.key) for number in range(rounds) for row in MIX
    ][:count]


def _worded(message: str, number: int) -> str:
    if message.isascii():
        letters = [at for at, character in enumerate(message) if character.isalpha()]
        raised = {at for place, at in enumerate(letters) if number >> place & 1}
        return "".join(c.upper() if at in raised else c for at, c in enumerate(message))
    marks = ""
    while number:
        number, mark = divmod(number - 1, len(_MARKS))
        marks += _MARKS[mark]
    return message + marks


def _item(number: int) -> dict[str, object]:
    return {
        "id": f"bench-{number}",
        "title": f"The Sample Title of Number {number}",
        "title_ja": f"見本の題名 第{number}番",
        "authors": ["Sample Author"],
        "genres": ["Action", "Adventure", "Fantasy"],
        "demographic": ["Shonen"],
        "published_from": "2001-02-03",
    }


def _cut(text: str, size: int) -> str:
    """The beginning of a text that takes exactly so many bytes, filled up with dots."""
    cut = text.encode()[:size].decode(errors="ignore")
    return cut + "." * (size - len(cut.encode()))
