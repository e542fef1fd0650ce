"""The wordings of questions, as `answers.toml` declares them under [patterns].

Knows no title and no classifier: only classes of phrases, names of genres and rules over them.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Phrases = tuple[Annotated[str, Meta(min_length=1, max_length=2000)], ...]

GENRE_CLASS = "genre"

_BRACKET = re.compile(r"([()|])")
_MAX_EXPANSIONS = 4000


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A question is of `kind` if its words are of all classes in `needs`, and of no others than
    those and `allows`.
    """

    kind: Literal["trending", "new_releases", "genre", "recommendation", "chat"]
    needs: tuple[str, ...]
    allows: tuple[str, ...]


class TitleWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What may stand around a title's name, and when a name alone is not enough.

    A name made of `common_words` only is taken for a title when the question says so: by a word
    of the `marks` classes, or by quotation marks. Each group of `synonyms` names one well-known
    title: whichever of them a catalogue has, the others lead to it.
    """

    allows: tuple[str, ...]
    marks: tuple[str, ...]
    common_words: Phrases
    synonyms: tuple[Phrases, ...] = ()


class Patterns(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The wordings: classes of phrases, names of genres, and rules over the classes.

    In a phrase "(a|b|)" stands for each alternative, the last one here for nothing. A plain genre
    is named by one of its words in one of `plain_forms`, where {} stands for it.
    """

    plain_forms: Phrases
    classes: dict[str, Phrases]
    genres: dict[str, Phrases]
    plain_genres: dict[str, Phrases]
    rules: tuple[Rule, ...]
    title: TitleWords


def genre_phrases(patterns: Patterns, slug: str) -> Iterator[str]:
    """Every phrase, not yet expanded, that names this genre."""
    yield from patterns.genres.get(slug, ())
    for word in patterns.plain_genres.get(slug, ()):
        for form in patterns.plain_forms:
            yield form.replace("{}", word)


def genre_words(patterns: Patterns, slug: str) -> tuple[str, ...]:
    """The plain words for this genre, as a text about a title would use them."""
    named = (phrase for phrase in patterns.genres.get(slug, ()) if not _BRACKET.search(phrase))
    return tuple(dict.fromkeys((*patterns.plain_genres.get(slug, ()), *named)))


def expand(phrase: str) -> tuple[str, ...]:
    """Every wording that a phrase with "(a|b|)" groups stands for, without doubles.

    ValueError for brackets that do not pair, and for more wordings than an honest phrase has.
    """
    parts = [part for part in _BRACKET.split(phrase) if part]
    wordings = _alternatives(parts, depth=0)
    if parts:
        raise ValueError("has brackets that do not pair")
    spaced = (" ".join(wording.split()) for wording in wordings)
    return tuple(dict.fromkeys(filter(None, spaced)))


def _alternatives(parts: list[str], depth: int) -> list[str]:
    """Takes from the front of `parts` what one group holds, and gives all that it can be."""
    done: list[str] = []
    current = [""]
    while parts and parts[0] != ")":
        part = parts.pop(0)
        if part == "|":
            if not depth:
                raise ValueError("has a | outside of brackets")
            done += current
            current = [""]
            continue
        choices = _alternatives(parts, depth + 1) if part == "(" else [part]
        if part == "(" and (not parts or parts.pop(0) != ")"):
            raise ValueError("has brackets that do not pair")
        current = [left + right for left in current for right in choices]
        if len(current) > _MAX_EXPANSIONS:
            raise ValueError(f"stands for more than {_MAX_EXPANSIONS} wordings")
    return done + current


def problems(patterns: Patterns) -> Iterator[tuple[str, str]]:
    """Where names or phrases do not fit together: (row and field, reason)."""
    known = {*patterns.classes, GENRE_CLASS}
    for where, names in _class_lists(patterns):
        for name in names:
            if name not in known:
                yield where, f"no class is called {name!r}"
    for form in patterns.plain_forms:
        if form.count("{}") != 1:
            yield "patterns.plain_forms", f"{form!r} does not hold {{}} once"
    tables: Mapping[str, Mapping[str, Phrases]] = {
        "classes": patterns.classes,
        "genres": patterns.genres,
        "plain_genres": patterns.plain_genres,
    }
    for table, rows in tables.items():
        for name, phrases in rows.items():
            for phrase in phrases:
                reason = _phrase_problem(phrase)
                if reason is not None:
                    yield f"patterns.{table}.{name}", f"{phrase!r} {reason}"


def _class_lists(patterns: Patterns) -> Iterator[tuple[str, tuple[str, ...]]]:
    for index, rule in enumerate(patterns.rules):
        yield f"patterns.rules[{index}].needs", rule.needs
        yield f"patterns.rules[{index}].allows", rule.allows
    yield "patterns.title.allows", patterns.title.allows
    yield "patterns.title.marks", patterns.title.marks


def _phrase_problem(phrase: str) -> str | None:
    try:
        wordings = expand(phrase)
    except ValueError as error:
        return str(error)
    return None if wordings else "stands for nothing"
