"""The models that answer and embed, as `models.toml` declares them."""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from config import features, tables
from config.tables import require

Count = Annotated[int, Meta(ge=1)]
Words = Annotated[str, Meta(min_length=1)]


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A chat model: a model or inference profile of Bedrock, or an endpoint of SageMaker."""

    provider: Literal["bedrock", "sagemaker"]
    id: Words
    max_tokens: Annotated[int, Meta(ge=16, le=8192)]
    temperature: Annotated[float, Meta(ge=0, le=1)]
    context_tokens: Annotated[int, Meta(ge=100, le=100_000)]


class Sizes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The chat model for each size of question."""

    small: Model
    large: Model


class Routing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What makes a question one for the large model."""

    long_question_tokens: Count
    phrases: tuple[Words, ...]


class Instructions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The system text by locale."""

    ja: Words
    en: Words

    def of(self, locale: str) -> str:
        """The instructions for answers in this locale."""
        return (self.ja if locale == "ja" else self.en).strip()


class Embedding(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The model of Bedrock that makes vectors of texts."""

    id: Words
    dimensions: Literal[256, 512, 1024]
    min_similarity: Annotated[float, Meta(ge=0, le=1)]


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """So many calls a minute, and so many at once after a pause."""

    per_minute: Annotated[float, Meta(gt=0)]
    burst: Count


class Spending(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How often a serving process may ask the models anew."""

    user: Rate
    anonymous: Rate
    max_flights: Count


class Models(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole table."""

    prompt_version: Count
    customer_features: tuple[Words, ...]
    history_turns: Annotated[int, Meta(ge=0, le=50)]
    models: Sizes
    routing: Routing
    instructions: Instructions
    embedding: Embedding
    spending: Spending

    def version(self, model: Model) -> str:
        """What an answer of this model depends on beside the question; part of cache keys."""
        return f"{self.prompt_version}:{model.provider}:{model.id}"


def chosen(table: Models, small: str, large: str) -> Models:
    """The table with other models, each as `provider:id`; an empty text leaves the one there is."""
    sizes = table.models
    given = msgspec.structs.replace(
        sizes, small=_other(sizes.small, small), large=_other(sizes.large, large)
    )
    return msgspec.structs.replace(table, models=given)


def _other(model: Model, text: str) -> Model:
    if not text:
        return model
    provider, _, name = text.partition(":")
    known = msgspec.structs.asdict(model) | {"provider": provider, "id": name}
    return msgspec.convert(known, Model)


def load(directory: Path | None = None) -> Models:
    """The checked table; raises ConfigError."""
    where = [directory] if directory else []
    table = tables.read("models", Models, *where)
    groups = features.load(*where).groups.values()
    known = {name for group in groups for name in group.features}
    for name in table.customer_features:
        place = "models.toml: customer_features"
        require(name in known, place, f"features.toml declares no {name!r}")
        require(not name.endswith("_id"), place, f"{name!r} is an id")
    return table


@cache
def declared() -> Models:
    """The table that the project ships."""
    return load()
