"""What running the system needs: the catalogue, endpoint health, metrics."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from domain.catalogue import Catalogue
from domain.endpoint_health import Health, Probe


class EndpointLooks(Protocol):
    """The network paths to the services that `config/endpoints.toml` watches."""

    def probe(self) -> Sequence[Probe]:
        """A look at each, all at the same time; that one fails is what was found."""
        ...

    def endpoint_ids(self) -> Mapping[str, str]:
        """The VPC endpoints that are available, by service."""
        ...


class HealthReports(Protocol):
    """Where the health of endpoints is kept over time; a repeated report counts twice."""

    def put(self, healths: Sequence[Health]) -> None:
        """Report how these are now."""
        ...


class CatalogueStore(Protocol):
    """The one catalogue that every process works with, as versioned snapshots."""

    def version(self) -> str | None:
        """The content hash of the current snapshot; None before the first import."""
        ...

    def load(self) -> Catalogue:
        """The current catalogue, with its version; raises Transient before the first import."""
        ...

    def publish(self, catalogue: Catalogue) -> bool:
        """Make this the catalogue; False where it is already."""
        ...


class TaskMetrics(Protocol):
    """What tasks report of their own work; the names are rows of `config/metrics.toml`."""

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        ...

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add a value to a histogram."""
        ...

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        ...
