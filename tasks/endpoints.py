"""Looks at the ways to the services, and tells Prometheus and CloudWatch how they are."""

import contextlib
from collections.abc import Sequence

from config.endpoints import Endpoint, declared
from domain.endpoint_health import Health, Limits, Reach, judged
from domain.errors import MangaAssistError
from domain.jobs import CheckEndpoints
from domain.ports import EndpointLooks, Ports
from tasks.performs import performs

STALE_SECONDS = 300.0
"""A tick that comes later has been overtaken by others."""


@performs(CheckEndpoints)
def check_endpoints(jobs: Sequence[CheckEndpoints], ports: Ports) -> None:
    """Look once, however many ask for it."""
    now = ports.clock()
    if all(job.tick is not None and now - job.tick > STALE_SECONDS for job in jobs):
        ports.metrics.count("duplicates_total", len(jobs), kind=CheckEndpoints.kind)
        return
    healths = health_of(ports.endpoints)
    for health in healths:
        value = health.status.value_of_gauge
        ports.metrics.set("endpoint_health", value, service=health.probe.service)
    ports.health_reports.put(healths)


def health_of(looks: EndpointLooks) -> list[Health]:
    """How every watched service is reached now."""
    probes = looks.probe()
    known = None
    # an emulator has no VPC endpoint, and without the right to ask nothing is said of them
    if any(probe.reach not in {None, Reach.LOOPBACK} for probe in probes):
        with contextlib.suppress(MangaAssistError):
            known = looks.endpoint_ids()
    rows = declared().services
    return [judged(probe, _limits(rows[probe.service]), known) for probe in probes]


def _limits(row: Endpoint) -> Limits:
    return Limits(
        is_gateway=row.kind == "gateway",
        max_dns_ms=row.max_dns_ms,
        max_connect_ms=row.max_connect_ms,
        max_tls_ms=row.max_tls_ms,
        max_call_ms=row.max_call_ms,
        nat_baseline_ms=row.nat_baseline_ms,
    )
