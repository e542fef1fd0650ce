"""Finds every known wording in a question and the ways in which they cover it from either end.

An Aho-Corasick automaton finds them in one pass; what is left between a covered beginning and a
covered end may be the name of a title. Knows classes of words, not what they mean together.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from ahocorasick_rs import AhoCorasick, Implementation, MatchKind

from config.wordings import GENRE_CLASS, Patterns, expand, genre_phrases
from domain.questions import fold

_GENRE_SHIFT = 32
CLASSES = (1 << _GENRE_SHIFT) - 1
"""Masks the classes of a way to read, without its genre."""

_MAX_WAYS = 12
"""Ways to read one beginning that are followed; only a message made to be slow has more."""

_MAX_MATCHES = 120
"""Wordings, overlapping ones counted, in one question; an honest one has under half as many."""

_MAX_CUTS = 8

Hit = tuple[int, int, tuple[int, ...]]
"""First position of a wording, the position behind it, and the ways to read it."""

Ways = Iterable[int]
"""Ways to read a stretch: the bits of the classes, and above them the number of the genre."""


@dataclass(slots=True)
class Gaps:
    """What may be left when known wordings are taken off both ends of a question.

    `before` and `after` are the places where a gap may begin and end, and the ways to read what
    stands outside of it.
    """

    text: str
    before: dict[int, Ways]
    after: dict[int, Ways]

    def cuts(self) -> list[tuple[int, int]]:
        """Begin and end of each gap, the longest first."""
        if len(self.before) == 1 and len(self.after) == 1:
            return [(1, len(self.text))]
        starts = sorted(self.before)[:_MAX_CUTS]
        ends = sorted(self.after, reverse=True)[:_MAX_CUTS]
        found = [(start - end, start, end) for start in starts for end in ends if start < end]
        found.sort()
        return [(start, end) for _shortness, start, end in found]

    def at(self, start: int, end: int) -> "Gap":
        """One gap in full."""
        around = (self.text[:start] + self.text[end:]).strip()
        pairs = itertools.product(self.before[start], self.after[end])
        is_wording = len(self.text) in self.before
        return Gap(around, tuple(one | other for one, other in pairs), is_wording)


@dataclass(frozen=True, slots=True)
class Gap:
    """The words around one gap and, for each way to read them, the bits of their classes.

    `is_wording`: the whole question, gap and all, could also be read as known wordings.
    """

    around: str
    classes: tuple[int, ...]
    is_wording: bool


class Lexicon:
    """The wordings of one configuration; genres that are not in `browsable` are left out."""

    def __init__(self, patterns: Patterns, browsable: set[str]) -> None:
        names = (*patterns.classes, GENRE_CLASS)
        self._bits = {name: 1 << index for index, name in enumerate(names)}
        self._slugs = ["", *sorted(browsable)]
        senses: dict[str, set[int]] = {}
        for name, phrases in patterns.classes.items():
            _add(senses, phrases, self._bits[name])
        for number, slug in enumerate(self._slugs[1:], 1):
            value = self._bits[GENRE_CLASS] | number << _GENRE_SHIFT
            _add(senses, genre_phrases(patterns, slug), value)
        self._edges = [
            (int(wording[0] == " "), wording[-1] != " ", tuple(sorted(values)))
            for wording, values in senses.items()
        ]
        self._automaton = AhoCorasick(
            list(senses), matchkind=MatchKind.Standard, implementation=Implementation.DFA
        )

    def bits(self, classes: Iterable[str]) -> int:
        """The bits of these classes together."""
        return sum(self._bits[name] for name in set(classes))

    def genre(self, way: int) -> str:
        """The slug of the genre that is named, or nothing."""
        return self._slugs[way >> _GENRE_SHIFT]

    def read(self, folded: str) -> "Reading":
        """The known wordings in a folded text."""
        text = f" {folded} "
        matches = self._automaton.find_matches_as_indexes(text, overlapping=True)
        if len(matches) > _MAX_MATCHES:
            matches = []
        edges = self._edges
        hits: list[Hit] = []
        for wording, start, end in matches:
            lead, ends_japanese, senses = edges[wording]
            behind = end + 1 if ends_japanese and text[end] == " " else end
            hits.append((start + lead, behind, senses))
        return Reading(text, hits)


class Reading:
    """A question with its known wordings, in order of their ends.

    Positions are those of the first character of a word, so that a space has only one side.
    """

    __slots__ = ("_before", "_hits", "_text")

    def __init__(self, text: str, hits: list[Hit]) -> None:
        self._text = text
        self._hits = hits
        self._before: dict[int, set[int]] = {1: {0}}
        for start, end, senses in hits:
            ways = self._before.get(start)
            if ways is not None:
                _extend(self._before, end, ways, senses)

    def whole(self) -> Ways:
        """The ways in which known wordings cover all of it."""
        return self._before.get(len(self._text), ())

    def gaps(self, allowed: int) -> Gaps:
        """What may be left between wordings of the allowed classes."""
        after: dict[int, set[int]] = {len(self._text): {0}}
        for start, end, senses in reversed(self._hits):
            ways = after.get(end)
            if ways is not None:
                _extend(after, start, ways, senses)
        return Gaps(self._text, _within(self._before, allowed), _within(after, allowed))


def _add(senses: dict[str, set[int]], phrases: Iterable[str], value: int) -> None:
    for phrase in phrases:
        for wording in expand(phrase):
            folded = fold(wording)
            if folded:
                senses.setdefault(_bounded(folded), set()).add(value)


def _bounded(folded: str) -> str:
    """With a space where a Latin word begins or ends the wording: it must not match within one."""
    left = " " if folded[0].isascii() else ""
    right = " " if folded[-1].isascii() else ""
    return f"{left}{folded}{right}"


def _extend(
    reached: dict[int, set[int]], position: int, ways: set[int], senses: tuple[int, ...]
) -> None:
    """Adds to the ways to read up to a position those that end with a wording of these senses."""
    target = reached.setdefault(position, set())
    if len(target) >= _MAX_WAYS:
        return
    for sense in senses:
        genre = sense >> _GENRE_SHIFT
        for way in tuple(ways):
            known = way >> _GENRE_SHIFT
            if not genre or not known or genre == known:
                target.add(way | sense)


def _within(reached: dict[int, set[int]], allowed: int) -> dict[int, Ways]:
    if len(reached) == 1:
        return {**reached}
    others = ~allowed
    return {
        position: fitting
        for position, ways in reached.items()
        if (fitting := [way for way in ways if not way & others])
    }
