"""Whether the way to a service is good: what a look at it measured, and what that means. Pure."""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

PRIVATE = tuple(
    map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"))
)
"""What addresses within a VPC are of. 100.64.0.0/10 is not: providers' gateways use it."""


class Reach(StrEnum):
    """Where the addresses of a name lead."""

    LOOPBACK = "loopback"
    """To this machine: an emulator or a proxy, of which no network path can be judged."""
    PRIVATE = "private"
    PUBLIC = "public"


_LEAST_PRIVATE_FIRST = (Reach.PUBLIC, Reach.PRIVATE, Reach.LOOPBACK)


class Status(StrEnum):
    """How good the way is."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"

    @property
    def value_of_gauge(self) -> float:
        """As metrics show it."""
        return _GAUGE[self]


_GAUGE: Mapping[str, float] = {"healthy": 1.0, "degraded": 0.5, "unhealthy": 0.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a look at a service found; a time is None where it was not come to, or not wanted.

    `failed` says in a few words what went wrong, and is empty where the service answered.
    """

    service: str
    host: str
    port: int
    addresses: Sequence[str] = ()
    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    call_ms: float | None = None
    call_status: int | None = None
    failed: str = ""

    @property
    def reach(self) -> Reach | None:
        """Where all of its addresses lead; None for a name that has none."""
        return reach(self.addresses) if self.addresses else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is expected of the way to a service; see `config/endpoints.toml`."""

    is_gateway: bool
    max_dns_ms: float
    max_connect_ms: float
    max_tls_ms: float
    max_call_ms: float
    nat_baseline_ms: float | None


@dataclass(frozen=True, slots=True)
class Health:
    """A probe judged; `endpoint_id` is the VPC endpoint's, empty where none is known."""

    probe: Probe
    status: Status
    notes: tuple[str, ...]
    endpoint_id: str


def judged(probe: Probe, limits: Limits, endpoint_ids: Mapping[str, str] | None) -> Health:
    """What a probe means; `endpoint_ids` are the VPC endpoints by service, None if not known."""
    endpoint_id = (endpoint_ids or {}).get(probe.service, "")
    if probe.failed:
        return Health(probe, Status.UNHEALTHY, (probe.failed,), endpoint_id)
    if probe.reach is Reach.LOOPBACK:
        # an emulator need not know the request, only answer it
        return Health(probe, Status.HEALTHY, ("on this machine: no path to judge",), endpoint_id)
    useless = tuple(_useless(probe, limits))
    doubts = (*_route(probe, limits, endpoint_ids), *_slow(probe, limits), *_answer(probe))
    status = Status.UNHEALTHY if useless else Status.DEGRADED if doubts else Status.HEALTHY
    return Health(probe, status, (*useless, *doubts), endpoint_id)


def reach(addresses: Sequence[str]) -> Reach:
    """Where addresses lead: to the least private place that any of them leads to."""
    reaches = {_reach(address) for address in addresses}
    return next(place for place in _LEAST_PRIVATE_FIRST if place in reaches)


def _reach(address: str) -> Reach:
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    ip = mapped or ip
    if ip.is_loopback:
        return Reach.LOOPBACK
    is_private = any(ip in network for network in PRIVATE if network.version == ip.version)
    return Reach.PRIVATE if is_private else Reach.PUBLIC


def _useless(probe: Probe, limits: Limits) -> Iterator[str]:
    taken = (probe.dns_ms or 0.0) + (probe.connect_ms or 0.0)
    if limits.nat_baseline_ms is not None and taken > limits.nat_baseline_ms:
        yield f"{taken:.1f} ms, slower than {limits.nat_baseline_ms:g} ms through a NAT gateway"


def _route(probe: Probe, limits: Limits, endpoint_ids: Mapping[str, str] | None) -> Iterator[str]:
    is_missing = endpoint_ids is not None and probe.service not in endpoint_ids
    if probe.reach is Reach.PUBLIC and not limits.is_gateway:
        yield "a public address: the traffic does not take a VPC endpoint"
    elif is_missing and limits.is_gateway:
        yield "no gateway endpoint: the traffic takes the NAT gateway"


def _slow(probe: Probe, limits: Limits) -> Iterator[str]:
    for what, taken, most in (
        ("name", probe.dns_ms, limits.max_dns_ms),
        ("connection", probe.connect_ms, limits.max_connect_ms),
        ("TLS", probe.tls_ms, limits.max_tls_ms),
        ("signed request", probe.call_ms, limits.max_call_ms),
    ):
        if taken is not None and taken > most:
            yield f"{what} took {taken:.1f} ms, expected at most {most:g} ms"


def _answer(probe: Probe) -> Iterator[str]:
    if probe.call_status is not None and probe.call_status >= 500:  # noqa: PLR2004 - of HTTP
        yield f"answers with {probe.call_status}"
