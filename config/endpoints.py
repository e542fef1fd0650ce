"""The services whose network path is watched, as `endpoints.toml` declares them."""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from config import tables
from config.tables import require

Milliseconds = Annotated[float, Meta(gt=0)]


class Endpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One service."""

    kind: Literal["interface", "gateway"]
    vpc_service: Annotated[str, Meta(pattern=r"^com\.amazonaws\.\{region\}\.[a-z0-9.-]+$")]
    max_dns_ms: Milliseconds
    max_connect_ms: Milliseconds
    max_tls_ms: Milliseconds
    max_call_ms: Milliseconds
    nat_baseline_ms: Milliseconds | None = None

    def vpc_name(self, region: str) -> str:
        """The name of the VPC endpoint's service in a region."""
        return self.vpc_service.format(region=region)


class Endpoints(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every watched service by the SDK's name for it."""

    namespace: Annotated[str, Meta(min_length=1, max_length=255)]
    timeout_seconds: Annotated[float, Meta(gt=0, le=10)]
    services: dict[str, Endpoint]


def load(directory: Path | None = None) -> Endpoints:
    """The checked table; raises ConfigError."""
    table = tables.read("endpoints", Endpoints, *([directory] if directory else []))
    for name, row in table.services.items():
        if row.nat_baseline_ms is not None:
            require(
                max(row.max_dns_ms, row.max_connect_ms) <= row.nat_baseline_ms,
                f"endpoints.toml: services.{name}",
                "max_dns_ms and max_connect_ms must not be above nat_baseline_ms",
            )
    return table


@cache
def declared() -> Endpoints:
    """The table that the project ships."""
    return load()
