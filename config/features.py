"""The feature groups and how they are synced, as `features.toml` declares them."""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from config import tables
from config.tables import require

Positive = Annotated[int, Meta(gt=0)]
Share = Annotated[float, Meta(gt=0, le=1)]
Name = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9]([-_]*[a-zA-Z0-9]){0,63}$")]

MAX_GROUPS = 100
"""Of BatchGetRecord in one request; so many records too."""
DAY_SECONDS = 86_400


class FeatureGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One feature group, with every feature by its type."""

    record_id: Name
    event_time: Name
    event_time_type: Literal["String", "Fractional"]
    storage: Literal["Standard", "Standard_V2", "InMemory"]
    features: dict[Name, Literal["String", "Integral", "Fractional"]]
    ttl_days: Positive | None = None

    @property
    def is_listed(self) -> bool:
        """Whether the store can list the group's records."""
        return self.storage != "Standard"


class Quotas(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the account may ask of the store, and what a process may take of it."""

    batch_get_per_second: Positive
    worker_share: Share
    cli_share: Share

    @property
    def worker_per_second(self) -> float:
        """Requests a second of one worker process."""
        return self.batch_get_per_second * self.worker_share

    @property
    def cli_per_second(self) -> float:
        """Requests a second of one command."""
        return self.batch_get_per_second * self.cli_share


class Sync(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the sweep works through all users."""

    tombstone_days: Positive
    page_users: Annotated[int, Meta(ge=1, le=10_000)]
    run_seconds: Annotated[int, Meta(ge=1, le=20)]
    pause_seconds: Annotated[int, Meta(ge=0, le=43_200)]

    @property
    def tombstone_seconds(self) -> float:
        """`tombstone_days` in seconds."""
        return float(self.tombstone_days * DAY_SECONDS)


class Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How many users a check compares, and what it may erase."""

    users: Annotated[int, Meta(ge=1, le=10_000)]
    grace_seconds: Annotated[int, Meta(ge=0)]
    gone_share: Annotated[float, Meta(ge=0, le=1)]
    gone_records: Annotated[int, Meta(ge=0)]


class Hot(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How long Redis holds what it knows of a user, and how much of it."""

    features_seconds: Positive
    features_jitter_seconds: Annotated[int, Meta(ge=0)]
    seen_seconds: Positive
    recent_titles: Annotated[int, Meta(ge=1, le=1000)]
    recent_days: Positive


class Features(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    groups: dict[Name, FeatureGroup]
    quotas: Quotas
    sync: Sync
    check: Check
    hot: Hot


def load(directory: Path | None = None) -> Features:
    """The checked table; raises ConfigError."""
    table = tables.read("features", Features, *([directory] if directory else []))
    require(1 <= len(table.groups) <= MAX_GROUPS, "features.toml: groups", "from 1 to 100 groups")
    for name, group in table.groups.items():
        where = f"features.toml: groups.{name}"
        keys = (group.record_id, group.event_time)
        require(group.record_id != group.event_time, where, "one feature cannot be both keys")
        require(bool(group.features), where, "declares no feature")
        for key in keys:
            require(key not in group.features, where, f"{key} is a key, not one of its features")
    hot = table.hot
    require(
        hot.features_jitter_seconds < hot.features_seconds,
        "features.toml: hot.features_jitter_seconds",
        "the jitter must be below features_seconds",
    )
    require(
        table.quotas.worker_share + table.quotas.cli_share <= 1,
        "features.toml: quotas",
        "a worker and a command together take more than the quota",
    )
    return table


@cache
def declared() -> Features:
    """The table that the project ships."""
    return load()
