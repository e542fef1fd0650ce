"""Decides in-process what a question is about, so that a stored answer can be picked for it.

A question is understood as a whole or not at all: every part of it must be a known wording or the
name of a title. One foreign word ("trending shoes", "新刊の返品") makes it `chat`, because a wrong
stored answer is worse than none.
"""

import re
from typing import NamedTuple

from config.wordings import Patterns
from domain.catalogue import Catalogue
from domain.comparisons import compared_names
from domain.events import Locale
from domain.questions import Question, QuestionKind, detect_locale, fold
from serving.lexicon import CLASSES, Gap, Lexicon, Reading
from serving.title_index import Doubt, TitleIndex

MAX_CHARS = 120
"""Nobody names a list or a title in more; longer questions are `chat` without being read."""

MAX_REMEMBERED = 8192
"""Folded questions that are not read twice: much of what is asked differs in case or marks only."""

_QUOTES = frozenset('「『“”"〝')
_COUNTED = "volume|volumes|vol|vols|v|chapter|ch|book|no|tome"
_VOLUME = re.compile(
    rf"(?:第 )?\d{{1,3}} (?:巻目|巻|話)|\b(?:{_COUNTED}) ?\d{{1,3}}\b|(?<=\D)\b\d{{1,3}}$"
)
_DIGIT = re.compile(r"\d")
_LETTER = re.compile(r"[^\W\d_]")
_VOLUME_WORD = "volnum"
"""What a volume's number becomes; the classes of words in answers.toml name it."""


class _Found(NamedTuple):
    """What a question was understood as, and its wording without the title's own words."""

    kind: QuestionKind
    slug: str
    wording: str


class QuestionClassifier:
    """Reads questions against the wordings and the names of one catalogue. Safe to share."""

    def __init__(
        self, catalogue: Catalogue, patterns: Patterns, *, remembered: int = MAX_REMEMBERED
    ) -> None:
        self._limit = remembered
        self._lexicon = Lexicon(patterns, {count.slug for count in catalogue.browsable()})
        self._titles = TitleIndex(catalogue, patterns.title)
        bits = self._lexicon.bits
        self._rules = [
            (QuestionKind(rule.kind), bits(rule.needs), bits((*rule.needs, *rule.allows)))
            for rule in patterns.rules
        ]
        self._around_title = bits(patterns.title.allows)
        self._title_marks = bits(patterns.title.marks)
        self._remembered: dict[tuple[str, bool], _Found | None] = {}

    def classify(self, message: str, locale: Locale | None = None) -> Question:
        """What the message asks for; its language is detected where `locale` is None.

        A title is asked for in the language of the words around it, so "do you have 進撃の巨人"
        is English.
        """
        text = message.strip()
        found = self._understand(text) if 0 < len(text) <= MAX_CHARS else None
        if found is None:
            return Question(QuestionKind.CHAT, "", locale or detect_locale(text))
        wording = found.wording.replace(_VOLUME_WORD, "").strip()
        return Question(found.kind, found.slug, locale or detect_locale(wording or text))

    def _understand(self, text: str) -> _Found | None:
        asked = (fold(text), not _QUOTES.isdisjoint(text))
        try:
            return self._remembered[asked]
        except KeyError:
            found = self._read(*asked)
            if (
                found is not None
                and found.kind is QuestionKind.TITLE
                and self._compares(text, found)
            ):
                found = None
        if len(self._remembered) >= self._limit:
            self._remembered.clear()
        self._remembered[asked] = found
        return found

    def _compares(self, text: str, found: _Found) -> bool:
        """Whether it asks for what is like the title: that may be spelt as a name with typos is."""
        read = (self._understand(name) for name, _rest in compared_names(text))
        return any(one is not None and one[:2] == found[:2] for one in read)

    def _read(self, folded: str, is_quoted: bool) -> _Found | None:
        reading = self._lexicon.read(folded)
        found = self._as_list(reading) or self._as_title(reading, is_quoted)
        if found is None and _DIGIT.search(folded):
            numbered = " ".join(_VOLUME.sub(f" {_VOLUME_WORD} ", folded).split())
            if numbered != folded and _LETTER.search(numbered.replace(_VOLUME_WORD, "")):
                return self._as_title(self._lexicon.read(numbered), is_quoted)
        return found

    def _as_list(self, reading: Reading) -> _Found | None:
        whole = reading.whole()
        if not whole:
            return None
        for kind, needs, allows in self._rules:
            for way in whole:
                if not needs & ~way and not way & CLASSES & ~allows:
                    slug = self._lexicon.genre(way) if kind is QuestionKind.GENRE else ""
                    return _Found(kind, slug, "")
        return None

    def _as_title(self, reading: Reading, is_quoted: bool) -> _Found | None:
        gaps = reading.gaps(self._around_title)
        text = gaps.text
        start, end = 1, len(text)
        for start, end in gaps.cuts():
            named = self._titles.exact(text[start:end])
            if named is None:
                continue
            gap = gaps.at(start, end)
            if named.doubt is Doubt.NONE or is_quoted or self._is_meant(named.doubt, gap):
                return _Found(QuestionKind.TITLE, named.title_id, gap.around)
        named = self._titles.with_typos(text[start:end])
        if named is None:
            return None
        return _Found(QuestionKind.TITLE, named.title_id, gaps.at(start, end).around)

    def _is_meant(self, doubt: Doubt, gap: Gap) -> bool:
        """Whether what stands around a doubtful name says that it is a title."""
        if any(classes & self._title_marks for classes in gap.classes):
            return True
        return doubt is Doubt.ALONE and not gap.around and not gap.is_wording
