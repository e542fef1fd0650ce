"""Assembles what a model is asked: instructions, the last turns, retrieved facts, the question.

Whatever customers or the catalogue wrote goes in as JSON strings between tags, in which no angle
bracket is left: no text can end its own part of the prompt or begin another. Pure.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from domain.model import Message, Prompt
from domain.sessions import Turn

ASCII_PER_TOKEN = 3.5
OTHERS_PER_TOKEN = 1.0
"""Letters in a token, by the tokenizers of current models: about 4 of English, and 1 to 1.4 of
Japanese. Taken low, so that the estimate is rather too high."""
MESSAGE_TOKENS = 6
"""What the frame of one message and its tags take."""

_ESCAPED = str.maketrans({char: f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"})

TAGS = ("summary", "customer", "catalogue", "question")
"""What stands around the parts of a prompt."""

Fact = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question and what is known for it: turns before it, oldest first, and facts, best first.

    `customer` is what is known of who asks, by name; nothing for most.
    """

    question: str
    turns: Sequence[Turn] = ()
    summary: str = ""
    customer: Mapping[str, object] = field(default_factory=dict)
    facts: Sequence[Fact] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """How much context goes with a question; the question itself is never cut."""

    turns: int
    context_tokens: int


def assemble(instructions: str, asked: Asked, limits: Limits) -> Prompt:
    """The prompt; over the limit the oldest turns go first, then the summary, then the last facts.

    What is known of the customer goes with the summary. The tokens of instructions and question do
    not count against the limit: both are bounded where they come from.
    """
    kept = replace(asked, turns=asked.turns[-limits.turns :] if limits.turns else ())
    while _context_tokens(kept) > limits.context_tokens and not _is_bare(kept):
        kept = _less(kept)
    messages = (*_history(kept.turns), Message("user", _question(kept)))
    tokens = estimated_tokens(instructions) + sum(map(_message_tokens, messages))
    return Prompt(instructions, messages, facts=len(kept.facts), tokens=tokens)


def estimated_tokens(text: str) -> int:
    """About how many tokens a text is, rather too many than too few."""
    latin = sum(map(str.isascii, text))
    return math.ceil(latin / ASCII_PER_TOKEN + (len(text) - latin) / OTHERS_PER_TOKEN)


def _context_tokens(asked: Asked) -> int:
    history = sum(map(_message_tokens, _history(asked.turns)))
    return history + estimated_tokens(_context(asked))


def _message_tokens(message: Message) -> int:
    return estimated_tokens(message.text) + MESSAGE_TOKENS


def _is_bare(asked: Asked) -> bool:
    return not (asked.turns or asked.summary or asked.customer or asked.facts)


def _less(asked: Asked) -> Asked:
    if asked.turns:
        return replace(asked, turns=asked.turns[1:])
    if asked.summary or asked.customer:
        return replace(asked, summary="", customer={})
    return replace(asked, facts=asked.facts[:-1])


def _history(turns: Sequence[Turn]) -> list[Message]:
    """Turns without a question or an answer would break the order of roles: they are left out."""
    messages = []
    for turn in turns:
        if turn.question and turn.answer_preview:
            messages.append(Message("user", _tagged("question", turn.question)))
            messages.append(Message("assistant", turn.answer_preview))
    return messages


def _question(asked: Asked) -> str:
    return _context(asked) + _tagged("question", asked.question)


def _context(asked: Asked) -> str:
    summary = f"{_tagged('summary', asked.summary)}\n" if asked.summary else ""
    customer = f"{_tagged('customer', dict(asked.customer))}\n" if asked.customer else ""
    facts = "".join(f"{_as_data(dict(fact))}\n" for fact in asked.facts)
    return f"{summary}{customer}<catalogue>\n{facts}</catalogue>\n"


def _tagged(name: str, value: object) -> str:
    return f"<{name}>{_as_data(value)}</{name}>"


def _as_data(value: object) -> str:
    written = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return written.translate(_ESCAPED)
