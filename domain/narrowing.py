"""What a question rules out: genres that it does not want, years, all that is unlike a title. Pure.

Genres that are wanted narrow a search only beside one of these: alone their words may be part of
a name. Moods ("something sad") stand for genres, and narrow where a question says nothing else.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from domain.comparisons import Comparisons
from domain.genres import GENRE_NAMES, genre_name
from domain.gist import Gist
from domain.search import GenreWords, Wanted

_YEAR = r"(?<!\d)((?:19|20)\d\d)"
_YEARS = (
    # words around a year, and whether it is the first and the last one that is wanted
    (re.compile(rf"\b(?:since|from|starting in) {_YEAR}\b", re.IGNORECASE), 0, None),
    (re.compile(rf"\bafter {_YEAR}\b", re.IGNORECASE), 1, None),
    (re.compile(rf"\b(?:until|up to) {_YEAR}\b", re.IGNORECASE), None, 0),
    (re.compile(rf"\bbefore {_YEAR}\b", re.IGNORECASE), None, -1),
    (re.compile(rf"\b(?:in )?(?:the )?{_YEAR}s\b", re.IGNORECASE), 0, 9),
    (re.compile(rf"\bin {_YEAR}\b", re.IGNORECASE), 0, 0),
    (re.compile(rf"{_YEAR}年代"), 0, 9),
    (re.compile(rf"{_YEAR}年(?:以降|から)"), 0, None),
    (re.compile(rf"{_YEAR}年(?:以前|まで)"), None, 0),
    (re.compile(rf"{_YEAR}年より前"), None, -1),
    (re.compile(rf"{_YEAR}年"), 0, 0),
)
_BEFORE = (
    r"(?:\b(?:not|no|without|except(?: for)?|excluding|hate|dislike|instead of|other than|"
    r"(?:do not|don['’]?t) (?:like|want))\s+(?:any |a |an |the )?)"
)
_AFTER = (
    r"(?:もの|系|要素)?(?:の)?(?:漫画|マンガ|作品)?(?:じゃな(?:い|く)|ではな(?:い|く)|でな(?:い|く)|以外(?:の|で)?|"
    r"(?:は|が)?(?:嫌い|きらい|苦手|いや|嫌|抜き|なし))"
)


class Narrowing:
    """Finds in questions what they rule out, by the words for genres and the names of titles.

    `moods` are words by the slug of the genre that they stand for; `gist` leaves what names
    something.
    """

    def __init__(
        self,
        words: GenreWords,
        comparisons: Comparisons | None = None,
        *,
        moods: Mapping[str, Sequence[str]],
        gist: Gist,
    ) -> None:
        self._gist = gist
        self._comparisons = comparisons
        named = {_plain(word): slug for slug, felt in moods.items() for word in felt}
        self._moods = re.compile(_any_of(named))
        for slug, name in GENRE_NAMES.items():
            for word in (name.en, name.ja, name.ja.removesuffix("漫画"), *words(slug)):
                named.setdefault(_plain(word), slug)
        self._slugs = named
        self._named = _any_of(named)
        latin = _any_of(word for word in named if word.isascii())
        more = rf"(?:\s*(?:,|or|and|nor)\s+{latin})*"
        # "No Game No Life" is a title
        before = rf"{_BEFORE}{latin}{more}(?: manga)?(?! no\b)"
        self._unwanted = re.compile(rf"{before}|{self._named}{_AFTER}")
        self._wanted = re.compile(self._named)

    def of(self, text: str, limit: int) -> Wanted:
        """What to look for: the text without what it rules out, which filters."""
        wanted, left = Wanted(text=text, limit=limit), text
        compared = self._comparisons.of(text) if self._comparisons else None
        if compared is not None:
            wanted, left = replace(wanted, like=compared[0]), compared[1]
        left = _plain(left)
        excluded: set[str] = set()
        for found in self._unwanted.finditer(left):
            excluded |= self._genres(found[0])
        left = self._unwanted.sub(" ", left)
        for pattern, first, last in _YEARS:
            found_year = pattern.search(left)
            if found_year is not None:
                year = int(found_year[1])
                wanted = replace(
                    wanted,
                    since=wanted.since if first is None else year + first,
                    until=wanted.until if last is None else year + last,
                )
                left = pattern.sub(" ", left)
        wanted = replace(wanted, excluded=frozenset(excluded))
        if not wanted.is_narrowed:
            return self._felt(wanted, left)
        genres = frozenset(self._genres(left) - excluded)
        return replace(wanted, text=self._wanted.sub(" ", left), genres=genres)

    def _felt(self, wanted: Wanted, text: str) -> Wanted:
        """With the genres of its moods: filters where that is all that it says, else words."""
        felt = list(dict.fromkeys(self._slugs[word] for word in self._moods.findall(text)))
        if felt and not self._gist.words(self._moods.sub(" ", text)):
            return replace(wanted, text="", genres=frozenset(felt))
        return replace(
            wanted, text=" ".join([wanted.text, *(genre_name(slug).en for slug in felt)])
        )

    def _genres(self, text: str) -> set[str]:
        return {self._slugs[word] for word in self._wanted.findall(text)}


def _any_of(words: Iterable[str]) -> str:
    """A pattern of these words, the longest first; Latin ones are whole words."""
    longest_first = sorted(filter(None, words), key=len, reverse=True)
    return "(?:" + ("|".join(map(_bounded, longest_first)) or "(?!)") + ")"


def _bounded(word: str) -> str:
    return rf"(?<![0-9a-z]){re.escape(word)}(?![0-9a-z])" if word.isascii() else re.escape(word)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
