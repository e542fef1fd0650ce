"""Finds the title that a piece of a question names: exactly, in loose romaji, or with typos.

Knows names only; what stands around a name is `serving/questions.py`'s. Typos are found without
comparing every name: of a name cut in three, two edits leave one piece whole (the pigeonhole of
PassJoin), so candidates come from a table of pieces and rapidfuzz judges the few that remain.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from rapidfuzz.distance import OSA

from config.wordings import TitleWords
from domain.catalogue import Catalogue, Title
from domain.questions import JAPANESE, fold, loosen, squash

_MIN_LOOSE_LENGTH = 4
_PIECES = 3
_MAX_EDITS = 2
_TYPO_LENGTHS = {False: (8, 12), True: (6, 10)}
"""From how many characters on one and two typos are forgiven, by whether a name is Japanese."""

_MIN_TYPO_LENGTH, _MAX_TYPO_LENGTH = 5, 40
_WELL_KNOWN = 1500
"""Short one-word names below this rank of popularity are taken only when they stand alone."""

_TOP_RANK, _FAMOUS, _KNOWN = 0, 300, 4000
"""Names of several ordinary words ("Death Note") need no mark above the first rank, and none
when they stand alone above the second.
"""

_HEAD = re.compile(r"\s*(?:[:：]|\s[-–—~]\s|[〜～(（])")
_MIN_HEAD = {False: 7, True: 4}


class Doubt(IntEnum):
    """What a question must show before a name in it counts."""

    NONE = 0
    ALONE = 1
    """Nothing but the name, or a mark such as "manga" or quotation marks."""
    MARKED = 2
    """A mark: the name is ordinary speech."""


@dataclass(frozen=True, slots=True)
class Named:
    """A title that a name leads to."""

    title_id: str
    doubt: Doubt


class TitleIndex:
    """The names of a catalogue's titles. Where two titles share one, the better known has it."""

    def __init__(self, catalogue: Catalogue, words: TitleWords) -> None:
        common = " ".join(words.common_words).split()
        self._common = frozenset(fold(word) for word in common)
        self._exact: dict[str, Named] = {}
        self._loose: dict[str, Named] = {}
        self._pieces: dict[tuple[int, int], dict[str, list[str]]] = {}
        self._plans: dict[int, list[tuple[dict[str, list[str]], int, int]]] = {}
        self._add_all(catalogue, Title.names)
        for group in words.synonyms:
            self._add_synonyms(group)
        self._add_all(catalogue, _given)
        self._add_all(catalogue, _derived)

    def exact(self, folded: str) -> Named | None:
        """The title of exactly this name, in its usual or its loose spelling."""
        name = squash(folded)
        found = self._exact.get(name)
        if found is None and name.isascii():
            found = self._loose.get(loosen(name))
            if found is not None and self._is_ordinary(folded):
                return None
        return found

    def with_typos(self, folded: str) -> Named | None:
        """The title whose long name is one or two edits away; of several, the nearest."""
        name = squash(folded)
        longest = _MAX_TYPO_LENGTH if name.isascii() else _MAX_TYPO_LENGTH // 2
        if not _MIN_TYPO_LENGTH <= len(name) <= longest:
            return None
        candidates = self._candidates(name)
        if not candidates or self._is_ordinary(folded):
            return None
        best: tuple[int, int, str] | None = None
        for order, candidate in enumerate(candidates):
            edits = OSA.distance(name, candidate, score_cutoff=_MAX_EDITS)
            if edits <= _forgiven(candidate) and _digits(name) == _digits(candidate):
                found = (edits, order, candidate)
                best = found if best is None or found < best else best
        return self._exact[best[2]] if best else None

    def _add_all(self, catalogue: Catalogue, names: Callable[[Title], Iterable[str]]) -> None:
        for rank, title in enumerate(catalogue.by_popularity):
            for name in names(title):
                self._add(name, title.id, rank)

    def _add_synonyms(self, group: Sequence[str]) -> None:
        """Leads all names of a well-known title to that of the catalogue which has one of them."""
        keys = {squash(fold(name)): name for name in group}
        owner = next((self._exact[key] for key in keys if key in self._exact), None)
        if owner is None:
            return
        for key, name in keys.items():
            known = self._exact.get(key)
            if known == owner and known.doubt is not Doubt.NONE:
                del self._exact[key]
            self._add(name, owner.title_id, _TOP_RANK)

    def _add(self, name: str, title_id: str, rank: int) -> None:
        folded = fold(name)
        key = squash(folded)
        if not key or key in self._exact:
            return
        named = Named(title_id, self._doubt(folded, rank))
        self._exact[key] = named
        if key.isascii() and len(key) >= _MIN_LOOSE_LENGTH:
            self._loose.setdefault(loosen(key), named)
        if _forgiven(key) and len(key) <= _MAX_TYPO_LENGTH and named.doubt is Doubt.NONE:
            for part, (start, end) in enumerate(_cuts(len(key))):
                table = self._pieces.setdefault((len(key), part), {})
                table.setdefault(key[start:end], []).append(key)

    def _doubt(self, folded: str, rank: int) -> Doubt:
        japanese = JAPANESE.search(folded) is not None
        key = squash(folded)
        if len(key) < (2 if japanese else 3):
            return Doubt.MARKED
        if self._is_ordinary(folded):
            if " " not in folded or rank >= _KNOWN:
                return Doubt.MARKED
            return Doubt.NONE if rank < _FAMOUS else Doubt.ALONE
        is_short = len(key) <= 3 if japanese else " " not in folded  # noqa: PLR2004
        return Doubt.ALONE if is_short and rank >= _WELL_KNOWN else Doubt.NONE

    def _is_ordinary(self, folded: str) -> bool:
        common = self._common
        return common.issuperset(folded.split()) or squash(folded) in common or folded.isdecimal()

    def _candidates(self, name: str) -> dict[str, None]:
        """Names that have a piece where two edits may have left it.

        Which shifts of a piece can matter: Li, Deng, Wang, Feng, "Pass-Join", VLDB 2011, §4.
        """
        found: dict[str, None] = {}
        for table, start, end in self._plan(len(name)):
            keys = table.get(name[start:end])
            if keys is not None:
                found.update(dict.fromkeys(keys))
        return found

    def _plan(self, length: int) -> list[tuple[dict[str, list[str]], int, int]]:
        """The tables to look into and the slices to look for, for a name of this length."""
        plan = self._plans.get(length)
        if plan is None:
            plan = self._plans[length] = list(self._slices(length))
        return plan

    def _slices(self, length: int) -> Iterator[tuple[dict[str, list[str]], int, int]]:
        for other in range(length - _MAX_EDITS, length + _MAX_EDITS + 1):
            for part, (start, end) in enumerate(_cuts(other)):
                table = self._pieces.get((other, part))
                for shift in range(-part, part + 1):
                    fits = abs(shift - (length - other)) <= _MAX_EDITS - part
                    if table and fits and start + shift >= 0 and end + shift <= length:
                        yield table, start + shift, end + shift


def _given(title: Title) -> tuple[str, ...]:
    return title.aliases


def _derived(title: Title) -> Iterator[str]:
    """Names that nobody lists: without article, without the "x" between, without a subtitle."""
    for name in (*title.names(), *title.aliases):
        for article in ("The ", "A ", "An "):
            if name.startswith(article):
                yield name[len(article) :]
        if "×" in name or " x " in name:
            yield name.replace("×", " ").replace(" x ", " ")
        head = _HEAD.split(name, maxsplit=1)[0]
        if head != name and len(squash(fold(head))) >= _MIN_HEAD[bool(JAPANESE.search(head))]:
            yield head


def _forgiven(key: str) -> int:
    one, two = _TYPO_LENGTHS[JAPANESE.search(key) is not None]
    return (len(key) >= one) + (len(key) >= two)


def _cuts(length: int) -> tuple[tuple[int, int], ...]:
    first, second = length // _PIECES, length - (length - length // _PIECES) // 2
    return (0, first), (first, second), (second, length)


def _digits(name: str) -> str:
    return "".join(filter(str.isdecimal, name))
