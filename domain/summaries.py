"""What a long conversation was about, in few words: so that a prompt needs its last turns alone.

A summary says what the turns said that it covers; it is made longer, never anew. This one extracts:
a line for each question, with the beginning of its answer, the newest of the same question alone.
"""

import re
import unicodedata
from collections.abc import Sequence

from domain.sessions import Turn

MAX_CHARS = 1200
QUESTION_CHARS, ANSWER_CHARS = 80, 60
ARROW = " → "

_SENTENCE_END = re.compile(r"(?<=[。！？])|(?<=[.!?])\s")


def extract(earlier: str, turns: Sequence[Turn]) -> str:
    """The summary with these turns, oldest first; what is oldest goes where it gets too long."""
    lines = [*earlier.splitlines(), *map(_line, turns)]
    newest: dict[str, str] = {}
    for line in lines:
        subject = _subject(line)
        newest.pop(subject, None)  # to come last
        newest[subject] = line
    kept: list[str] = []
    size = 0
    for line in reversed(newest.values()):
        size += len(line) + 1
        if size > MAX_CHARS:
            break
        kept.append(line)
    return "\n".join(reversed(kept))


def _line(turn: Turn) -> str:
    answer = _SENTENCE_END.split(_flat(turn.answer_preview), maxsplit=1)[0].strip()
    question = _cut(_flat(turn.question).replace(ARROW.strip(), "-"), QUESTION_CHARS)
    return question + (ARROW + _cut(answer, ANSWER_CHARS) if answer else "")


def _subject(line: str) -> str:
    return unicodedata.normalize("NFKC", line.partition(ARROW)[0]).casefold()


def _flat(text: str) -> str:
    """On one line, without what a terminal or a log would take for more than text."""
    printable = (letter if letter.isprintable() else " " for letter in text)
    return " ".join("".join(printable).split())


def _cut(text: str, chars: int) -> str:
    return text if len(text) <= chars else text[: chars - 1] + "…"
