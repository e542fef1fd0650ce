"""Which requests are traced and how spans are exported, as `tracing.toml` declares it."""

from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from config import tables
from config.tables import require

Milliseconds = Annotated[int, Meta(gt=0, le=60_000)]


class Requests(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The share of requests that is traced where no caller decides, and the most of a process."""

    ratio: Annotated[float, Meta(ge=0, le=1)]
    per_second: Annotated[int, Meta(ge=0)]


class Export(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How spans leave a process."""

    queue_spans: Annotated[int, Meta(gt=0)]
    batch_spans: Annotated[int, Meta(gt=0)]
    linger_ms: Milliseconds
    timeout_ms: Milliseconds


class TracingTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole table."""

    requests: Requests
    export: Export


def load(directory: Path | None = None) -> TracingTable:
    """The checked table; raises ConfigError."""
    table = tables.read("tracing", TracingTable, *([directory] if directory else []))
    require(
        table.export.batch_spans <= table.export.queue_spans,
        "tracing.toml: export.batch_spans",
        f"more than the {table.export.queue_spans} spans that may wait",
    )
    return table


@cache
def declared() -> TracingTable:
    """The table that the project ships."""
    return load()
