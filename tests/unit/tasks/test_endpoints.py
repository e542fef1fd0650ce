"""The scheduled look at endpoints: what it tells whom, and when it is not worth it."""

import pytest

from domain.endpoint_health import Probe, Status
from domain.errors import Transient
from domain.jobs import CheckEndpoints
from tasks.endpoints import STALE_SECONDS, check_endpoints, health_of
from tests.fakes import NOW, FakeCatalogueStore, World
from tests.samples import RULE


@pytest.fixture
def world() -> World:
    return World(RULE, FakeCatalogueStore())


def job(tick: int | None = None) -> CheckEndpoints:
    return CheckEndpoints(event_id="e", producer="beat", seq=1, occurred_at=NOW, tick=tick)


def probe(service: str, *addresses: str, failed: str = "") -> Probe:
    return Probe(service=service, host="h", port=443, addresses=addresses, failed=failed)


def test_every_service_is_told_to_prometheus_and_to_the_reports(world: World) -> None:
    world.endpoints.probes = [
        probe("logs", "10.0.0.1"),
        probe("sqs", "52.0.0.1"),
        probe("kinesis", failed="name failed: unknown"),
    ]
    check_endpoints([job(int(NOW))], world.ports)
    gauges = world.metrics.gauges
    assert gauges == {
        ("endpoint_health", "logs"): 1.0,
        ("endpoint_health", "sqs"): 0.5,
        ("endpoint_health", "kinesis"): 0.0,
    }
    reported = {health.probe.service: health.status for health in world.health_reports.reported}
    assert reported["kinesis"] is Status.UNHEALTHY


def test_several_jobs_are_one_look(world: World) -> None:
    world.endpoints.probes = [probe("logs", "10.0.0.1")]
    check_endpoints([job(), job(int(NOW))], world.ports)
    assert len(world.health_reports.reported) == 1


def test_a_tick_that_is_long_over_does_nothing(world: World) -> None:
    world.endpoints.probes = [probe("logs", "10.0.0.1")]
    check_endpoints([job(int(NOW - STALE_SECONDS - 1))], world.ports)
    assert not world.health_reports.reported
    assert world.metrics.counted["duplicates_total", "endpoints.check"] == 1


def test_prometheus_is_told_also_where_the_report_fails(world: World) -> None:
    world.endpoints.probes = [probe("logs", "10.0.0.1")]
    world.health_reports.fail = Transient("throttled", dependency="cloudwatch")
    with pytest.raises(Transient):
        check_endpoints([job()], world.ports)
    assert world.metrics.gauges["endpoint_health", "logs"] == 1.0


def test_nobody_is_asked_for_vpc_endpoints_of_emulators(world: World) -> None:
    world.endpoints.probes = [probe("logs", "127.0.0.1"), probe("sqs", failed="refused")]
    health_of(world.endpoints)
    assert world.endpoints.asked == 0


def test_without_the_right_to_ask_a_gateway_is_not_called_missing(world: World) -> None:
    world.endpoints.probes = [probe("dynamodb", "52.0.0.1")]
    assert health_of(world.endpoints)[0].status is Status.DEGRADED
    world.endpoints.ids = {"dynamodb": "vpce-9"}
    assert health_of(world.endpoints)[0].endpoint_id == "vpce-9"
    world.endpoints.fail = Transient("denied", dependency="ec2")
    assert health_of(world.endpoints)[0].status is Status.HEALTHY
