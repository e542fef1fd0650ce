"""What a customer can ask, and the folded form in which wordings are compared.

Folding makes one spelling of many: width, case, accents, kana, long vowels and punctuation. It
knows nothing of titles or patterns; `serving/questions.py` decides what a question is about.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from domain.events import Locale

_KATAKANA_TO_HIRAGANA = 0x60
_MEMO_LIMIT = 0x10000

JAPANESE = re.compile("[々ぁ-ヿ㐀-䶿一-鿿豈-﫿ｦ-ﾟ𠀀-𲎯]")
"""One kana or kanji, full or half width."""

_SPACE_IN_JAPANESE = re.compile(f" (?<={JAPANESE.pattern} )(?={JAPANESE.pattern})")
"""The space comes first, so that the search skips to the next one."""

_LATIN = re.compile("[0-9a-z]+")


class QuestionKind(StrEnum):
    """What a question is about; the values are those of the API's answers."""

    TRENDING = "trending"
    NEW_RELEASES = "new_releases"
    GENRE = "genre"
    TITLE = "title"
    RECOMMENDATION = "recommendation"
    CHAT = "chat"


@dataclass(frozen=True, slots=True)
class Question:
    """A question understood: `slug` is the genre's slug or the title's id, else empty."""

    kind: QuestionKind
    slug: str
    locale: Locale


class _Folding(dict[int, str | None]):
    """A translation table that works out a code point when it is first met.

    Code points beyond the basic plane are worked out each time: a hostile message must not fill
    the memory of the process.
    """

    def __missing__(self, code: int) -> str | None:
        folded = _fold_code(code)
        if code < _MEMO_LIMIT:
            self[code] = folded
        return folded


def _fold_code(code: int) -> str | None:
    char = chr(code)
    if char in "'’‘ʼ`´ー" or unicodedata.category(char) == "Cf":
        return None
    if char == "&":
        return " and "
    if char in "×✕✖":
        return "x"
    if 0x30A1 <= code <= 0x30F6:  # noqa: PLR2004 - the katakana that have a hiragana twin
        return chr(code - _KATAKANA_TO_HIRAGANA)
    if not char.isalnum():
        return " "
    base = unicodedata.normalize("NFD", char)[0]
    return base if base.isascii() else char


_FOLDING = _Folding()
_V_SOUNDS = (("ゔぁ", "ば"), ("ゔぃ", "び"), ("ゔぇ", "べ"), ("ゔぉ", "ぼ"), ("ゔ", "ぶ"))


def fold(text: str) -> str:
    """The text in comparable form.

    One space parts Latin words, and Latin from Japanese; Japanese itself has none, since those
    that somebody types there say nothing.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    folded = text.casefold().translate(_FOLDING)
    if "ゔ" in folded:
        for sound, plain in _V_SOUNDS:
            folded = folded.replace(sound, plain)
    if folded.isascii():
        return " ".join(folded.split())
    if _LATIN.search(folded):
        folded = _LATIN.sub(r" \g<0> ", folded)
    words = " ".join(folded.split())
    return _SPACE_IN_JAPANESE.sub("", words) if " " in words else words


def squash(folded: str) -> str:
    """A folded text without its spaces, as names are compared."""
    return folded.replace(" ", "")


def loosen(squashed: str) -> str:
    """A squashed romaji name without its long vowels: "shounen", "shoonen" and "shonen" agree."""
    return squashed.replace("ou", "o").replace("oo", "o").replace("uu", "u")


def detect_locale(text: str) -> Locale:
    """The language of a question: `ja` as soon as there is kana or kanji, else `en`.

    A Japanese question about "ONE PIECE" is mostly Latin letters, so letters are not counted.
    """
    return "ja" if JAPANESE.search(text) else "en"
