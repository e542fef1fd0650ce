"""What an answer of the model must not be or say: pure rules over its text and items.

An answer that breaks one is taken back after it was given. The rules are rows of
`config/guardrails.toml`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from domain.prompts import TAGS
from domain.questions import JAPANESE, fold, squash
from domain.response_cache import normalised

_URL = re.compile(r"(?:https?|ftp)://[^\s<>\"'「」『』（）)]+")
_QUOTED_TITLE = re.compile(r"『([^『』]{1,120})』")
_VOLUME = re.compile(r" ?(?:第? ?\d{1,3} ?[巻話]|vol(?:ume|\.)? ?\d{1,3})$| \d{1,3}$")
"""Behind a title, the volume that is meant."""
_TO_BE_SAID = re.compile("「[^「」]*」")
"""What stands in quotation marks in the instructions is what an answer may say."""
JAPANESE_RUN, LATIN_RUN = 16, 40
"""So many letters of the instructions in a row are no coincidence."""


class Finding(StrEnum):
    """What is wrong with an answer; few enough to label a metric."""

    EMPTY = "empty"
    TOO_LONG = "too_long"
    FOREIGN_URL = "foreign_url"
    LEAKED_PROMPT = "leaked_prompt"
    BANNED = "banned"
    UNKNOWN_ITEM = "unknown_item"
    UNKNOWN_TITLE = "unknown_title"


@dataclass(frozen=True, slots=True)
class Rules:
    """The declared rules; `markers` are normalised, `hosts` in lower case.

    `bare_host` finds what a reader could take for an address although no scheme stands before it;
    `other_names` are comparable names of what is no title, but quoted like one; `told` are the runs
    of letters of the instructions.
    """

    max_chars: int
    hosts: frozenset[str]
    bare_host: re.Pattern[str]
    other_names: frozenset[str]
    markers: Sequence[str]
    told: frozenset[str]
    banned: Sequence[re.Pattern[str]]


@dataclass(frozen=True, slots=True)
class Known:
    """What the catalogue knows: an item by its id, a title by any of its comparable names."""

    has_item: Callable[[str], bool]
    has_name: Callable[[str], bool]


def check(
    answer: Mapping[str, object], rules: Rules, known: Known, *, is_negative: bool = False
) -> Sequence[Finding]:
    """Everything that is wrong with an answer in the API's shape; nothing for a good one.

    A negative answer may name what there is not.
    """
    text = str(answer.get("text", ""))
    plain = normalised(text)
    titles = [] if is_negative else _QUOTED_TITLE.findall(text)
    found = [
        (Finding.EMPTY, not any(map(str.isalnum, plain))),
        (Finding.TOO_LONG, len(text) > rules.max_chars),
        (Finding.FOREIGN_URL, any(not _is_ours(host, rules) for host in _hosts(plain, rules))),
        (Finding.LEAKED_PROMPT, _is_leak(plain, rules)),
        (Finding.BANNED, any(pattern.search(plain) for pattern in rules.banned)),
        (Finding.UNKNOWN_ITEM, not all(map(known.has_item, _item_ids(answer)))),
        (Finding.UNKNOWN_TITLE, any(not _is_known(title, rules, known) for title in titles)),
    ]
    return [finding for finding, is_broken in found if is_broken]


def tags() -> Sequence[str]:
    """What only stands in prompts, and never in what a customer may read."""
    return [f"<{mark}{tag}>" for tag in TAGS for mark in ("", "/")]


def told(instructions: Iterable[str]) -> frozenset[str]:
    """Every run of letters of these instructions that is long enough to know them by."""
    parts = [part for text in instructions for part in _TO_BE_SAID.split(text)]
    return frozenset(
        run
        for part in parts
        for run in _runs(normalised(part), JAPANESE_RUN if JAPANESE.search(part) else LATIN_RUN)
    )


def _is_leak(plain: str, rules: Rules) -> bool:
    if any(marker in plain for marker in rules.markers):
        return True
    return any(
        run in rules.told for length in (JAPANESE_RUN, LATIN_RUN) for run in _runs(plain, length)
    )


def _runs(plain: str, length: int) -> Iterator[str]:
    """All runs of so many letters, whatever stands between the letters."""
    letters = "".join(filter(str.isalnum, plain))
    return (letters[at : at + length] for at in range(len(letters) - length + 1))


def comparable_name(name: str) -> str:
    """A title's name in the form in which the names of titles are compared."""
    return squash(fold(name))


def _is_known(title: str, rules: Rules, known: Known) -> bool:
    names = map(comparable_name, (title, _VOLUME.sub("", normalised(title))))
    return any(name and (name in rules.other_names or known.has_name(name)) for name in names)


def _hosts(plain: str, rules: Rules) -> Sequence[str]:
    """The host of each address; empty for one that readers and browsers may read differently."""
    bare = [host.replace("。", ".") for host in rules.bare_host.findall(plain)]
    return [*map(_host, _URL.findall(plain)), *bare]


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return "" if "\\" in url or "@" in parts.netloc else parts.hostname or ""


def _is_ours(host: str, rules: Rules) -> bool:
    return any(host == ours or host.endswith(f".{ours}") for ours in rules.hosts)


def _item_ids(answer: Mapping[str, object]) -> Sequence[str]:
    items = answer.get("items")
    if not isinstance(items, Sequence):
        return [""]
    return [str(item.get("id", "")) if isinstance(item, Mapping) else "" for item in items]
