"""What the actions of Bedrock's runtime take, as typed JSON."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

MAX_TOKENS = 4096
TITAN_DIMENSIONS = (256, 512, 1024)


class Text(msgspec.Struct, frozen=True):
    """A block of text; other kinds of content are not emulated."""

    text: Annotated[str, Meta(min_length=1)]


class Message(msgspec.Struct, frozen=True):
    """One turn of Converse."""

    role: Literal["user", "assistant"]
    content: Annotated[list[Text], Meta(min_length=1)]

    @property
    def text(self) -> str:
        """All its text."""
        return "\n".join(block.text for block in self.content)


class Inference(msgspec.Struct, frozen=True, rename="camel"):
    """How to generate; the answer is always the same, so that most of it is only checked."""

    max_tokens: Annotated[int, Meta(ge=1)] = MAX_TOKENS
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    stop_sequences: list[str] = []


class Converse(msgspec.Struct, frozen=True, rename="camel"):
    """Converse and ConverseStream."""

    messages: Annotated[list[Message], Meta(min_length=1)]
    system: list[Text] = []
    inference_config: Inference = msgspec.field(default_factory=Inference)


class ClaudeMessage(msgspec.Struct, frozen=True):
    """One turn of Anthropic's own format."""

    role: Literal["user", "assistant"]
    content: str | list[Text]

    @property
    def text(self) -> str:
        """All its text."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(block.text for block in self.content)


class Claude(msgspec.Struct, frozen=True):
    """InvokeModel's body for a model of Anthropic's."""

    anthropic_version: Literal["bedrock-2023-05-31"]
    max_tokens: Annotated[int, Meta(ge=1)]
    messages: Annotated[list[ClaudeMessage], Meta(min_length=1)]
    system: str = ""
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None


class TitanText(msgspec.Struct, frozen=True, rename="camel"):
    """InvokeModel's body for Titan Text Embeddings V2."""

    input_text: Annotated[str, Meta(min_length=1, max_length=50_000)]
    dimensions: Literal[256, 512, 1024] = 1024
    normalize: bool = True


Ask = Converse | Claude | TitanText
