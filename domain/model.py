"""The chat models: what they are asked, and how their answers come."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

MAX_ANSWER_CHARS = 10_000
"""More than `guardrails.toml` may allow, past which an answer is given up: whatever was said fits
whole into the event that has it checked."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of the conversation that a model sees."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is asked: instructions, then turns that begin and end with the user's.

    `facts` says how many of the retrieved facts found room, `tokens` about how long it all is.
    """

    system: str
    messages: tuple[Message, ...]
    facts: int
    tokens: int


WARMING = Prompt("", (Message("user", "."),), facts=0, tokens=1)
"""The least that a model can be asked, to make it and its connection ready."""


class Stop(StrEnum):
    """Why an answer is over."""

    DONE = "done"
    LENGTH = "length"
    """It reached the most tokens that it may have: what was said stands, but breaks off."""
    WITHHELD = "withheld"
    """A safety filter of the model's: what was said must not be used."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The last thing of a stream, without which what came before is not an answer."""

    stop: Stop
    input_tokens: int
    output_tokens: int


class ChatModel(Protocol):
    """One model. Calls change nothing and may be repeated."""

    def stream(self, prompt: Prompt, seconds: float) -> AsyncGenerator[str | Ended, None]:
        """The answer piece by piece, then `Ended`; all of it within so many seconds.

        Raises Transient (throttled, not ready, too late, broken off in the middle) or Permanent
        (the request is wrong), also after pieces have come: those are then no answer. Cancelling
        the task that waits for a piece, or closing the iterator (`contextlib.aclosing`), ends the
        call at the service.
        """
        ...

    async def warm(self, seconds: float) -> None:
        """Open a connection and have the model say one token; raises as `stream` does."""
        ...
