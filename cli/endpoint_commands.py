"""`mangaassist endpoints`: how every service is reached from here, measured now."""

from collections.abc import Iterator
from pathlib import Path

from adapters.aws_clients import AwsClients
from adapters.endpoint_probe import EndpointProbe
from cli import output
from cli.failures import FAILED, Failure
from cli.findings import Finding, State
from cli.target import aim
from config import endpoints
from config.settings import Settings
from domain.endpoint_health import Health, Status
from tasks.endpoints import health_of

STATES = {Status.HEALTHY: State.OK, Status.DEGRADED: State.WARN, Status.UNHEALTHY: State.FAIL}
HINT = "see docs/runbooks/endpoints.md"
HEADINGS = ["service", "state", "host", "reach", "dns", "tcp", "tls", "call", "endpoint", "notes"]


def run(data_dir: Path | None, *, as_json: bool) -> None:
    """Print how they are; raises Failure if one is unhealthy."""
    settings = aim(data_dir).settings
    healths = healths_of(AwsClients(), settings)
    if as_json:
        output.document([_document(health) for health in healths])
    else:
        output.table(HEADINGS, [_row(health) for health in healths])
    failed = [health for health in healths if health.status is Status.UNHEALTHY]
    if failed:
        raise Failure(f"unhealthy: {len(failed)} of {len(healths)} endpoints", FAILED)


def healths_of(aws: AwsClients, settings: Settings) -> list[Health]:
    """How every watched service is reached from here."""
    return health_of(EndpointProbe(aws, endpoints.declared(), settings.opensearch_url))


def findings(aws: AwsClients, settings: Settings) -> Iterator[Finding]:
    """The same as lines of `doctor`."""
    for health in healths_of(aws, settings):
        probe, state = health.probe, STATES[health.status]
        times = ", ".join(f"{name} {value}" for name, value in _times(health) if value != "-")
        detail = "; ".join(filter(None, (f"{probe.host}:{probe.port}", times, *health.notes)))
        yield Finding(f"endpoint {probe.service}", state, detail, "" if state is State.OK else HINT)


def _row(health: Health) -> list[str]:
    probe = health.probe
    state, where = STATES[health.status].value, f"{probe.host}:{probe.port}"
    reach = probe.reach.value if probe.reach else "-"
    times = [value for _, value in _times(health)]
    notes = "; ".join(health.notes)
    return [probe.service, state, where, reach, *times, health.endpoint_id or "-", notes]


def _times(health: Health) -> list[tuple[str, str]]:
    probe = health.probe
    taken = {
        "dns": probe.dns_ms,
        "tcp": probe.connect_ms,
        "tls": probe.tls_ms,
        "call": probe.call_ms,
    }
    return [(name, "-" if ms is None else f"{ms:.1f} ms") for name, ms in taken.items()]


def _document(health: Health) -> dict[str, object]:
    probe = health.probe
    return {
        "service": probe.service,
        "status": health.status.value,
        "host": probe.host,
        "port": probe.port,
        "addresses": list(probe.addresses),
        "reach": probe.reach.value if probe.reach else None,
        "dns_ms": probe.dns_ms,
        "connect_ms": probe.connect_ms,
        "tls_ms": probe.tls_ms,
        "call_ms": probe.call_ms,
        "call_status": probe.call_status,
        "endpoint_id": health.endpoint_id or None,
        "notes": list(health.notes),
    }
