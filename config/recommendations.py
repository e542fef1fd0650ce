"""What the model is told and how recommendations are kept fresh: `recommendations.toml`."""

from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from config import features, tables
from config.tables import require


class Recommendations(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    features: tuple[str, ...]
    debounce_seconds: Annotated[float, Meta(ge=0, le=60)]
    lease_seconds: Annotated[float, Meta(gt=0, le=600)]
    users_per_run: Annotated[int, Meta(ge=1, le=10_000)]
    run_seconds: Annotated[float, Meta(gt=0, le=10)]
    threads: Annotated[int, Meta(ge=1, le=32)]
    model_seconds: Annotated[float, Meta(gt=0, le=20)]
    due_days: Annotated[int, Meta(ge=1, le=30)]


def load(directory: Path | None = None) -> Recommendations:
    """The checked table; raises ConfigError."""
    where = [directory] if directory else []
    table = tables.read("recommendations", Recommendations, *where)
    groups = features.load(*where).groups.values()
    known = {name for group in groups for name in group.features}
    for name in table.features:
        require(
            name in known, "recommendations.toml: features", f"features.toml declares no {name!r}"
        )
    require(
        table.model_seconds < table.lease_seconds and table.run_seconds < table.lease_seconds,
        "recommendations.toml: lease_seconds",
        "a lease must outlive a run and the model",
    )
    return table


@cache
def declared() -> Recommendations:
    """The table that the project ships."""
    return load()
