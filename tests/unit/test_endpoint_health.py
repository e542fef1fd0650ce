"""What a look at an endpoint means."""

from typing import Any

import pytest

from config import endpoints
from domain.endpoint_health import Health, Limits, Probe, Reach, Status, judged, reach

KNOWN = {"logs": "vpce-1"}


def probe(**changes: Any) -> Probe:
    usual: dict[str, Any] = {
        "service": "logs",
        "host": "logs.ap-northeast-1.amazonaws.com",
        "port": 443,
        "addresses": ("10.0.1.5", "10.0.2.5"),
        "dns_ms": 1.0,
        "connect_ms": 2.0,
        "tls_ms": 8.0,
        "call_ms": 12.0,
        "call_status": 403,
    }
    return Probe(**{**usual, **changes})


def health(*, known: dict[str, str] | None = KNOWN, gateway: bool = False, **of: Any) -> Health:
    limits = Limits(
        is_gateway=gateway,
        max_dns_ms=5,
        max_connect_ms=10,
        max_tls_ms=25,
        max_call_ms=50,
        nat_baseline_ms=45,
    )
    return judged(probe(**of), limits, known)


def test_a_quick_private_way_is_healthy() -> None:
    assert health() == Health(probe(), Status.HEALTHY, (), "vpce-1")


@pytest.mark.parametrize(
    ("changes", "status", "note"),
    [
        ({"dns_ms": 5.1}, Status.DEGRADED, "name took 5.1 ms, expected at most 5 ms"),
        ({"connect_ms": 11.0}, Status.DEGRADED, "connection took 11.0 ms"),
        ({"tls_ms": 26.0}, Status.DEGRADED, "TLS took"),
        ({"call_ms": 51.0}, Status.DEGRADED, "signed request took"),
        ({"call_status": 503}, Status.DEGRADED, "answers with 503"),
        ({"addresses": ("10.0.1.5", "52.1.2.3")}, Status.DEGRADED, "a public address"),
        ({"connect_ms": 45.0}, Status.UNHEALTHY, "slower than 45 ms through a NAT gateway"),
        ({"failed": "TLS failed: expired"}, Status.UNHEALTHY, "TLS failed: expired"),
        ({"failed": "name failed", "addresses": ()}, Status.UNHEALTHY, "name failed"),
    ],
)
def test_what_is_wrong_is_said(changes: dict[str, Any], status: Status, note: str) -> None:
    found = health(**changes)
    assert found.status is status
    assert note in found.notes[0]


def test_exactly_the_limits_are_healthy() -> None:
    found = health(dns_ms=5.0, connect_ms=10.0, tls_ms=25.0, call_ms=50.0)
    assert found.status is Status.HEALTHY


def test_all_that_is_wrong_is_said_and_the_worst_counts() -> None:
    found = health(dns_ms=50.0, tls_ms=99.0, call_status=500)
    assert found.status is Status.UNHEALTHY
    assert len(found.notes) == 4


def test_what_was_not_measured_is_not_judged() -> None:
    assert health(tls_ms=None, call_ms=None, call_status=None).status is Status.HEALTHY


def test_a_gateway_endpoint_keeps_public_addresses() -> None:
    public: dict[str, Any] = {"addresses": ("52.94.8.1",)}
    assert health(gateway=True, **public).status is Status.HEALTHY
    assert health(gateway=True, known=None, **public).status is Status.HEALTHY
    missing = health(gateway=True, known={}, **public)
    assert missing.status is Status.DEGRADED
    assert "no gateway endpoint" in missing.notes[0]


def test_an_emulator_on_this_machine_is_healthy_however_slow() -> None:
    local: dict[str, Any] = {
        "addresses": ("127.0.0.1",),
        "dns_ms": 500.0,
        "connect_ms": 500.0,
        "call_ms": 900.0,
    }
    found = health(known={}, **local)
    assert found.status is Status.HEALTHY
    assert found.notes == ("on this machine: no path to judge",)
    assert health(**{**local, "call_status": 500}).status is Status.HEALTHY
    assert health(**{**local, "failed": "connection failed"}).status is Status.UNHEALTHY


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        (["10.0.0.1"], Reach.PRIVATE),
        (["172.16.0.1", "172.31.255.255"], Reach.PRIVATE),
        (["172.32.0.1"], Reach.PUBLIC),
        (["192.168.1.1"], Reach.PRIVATE),
        (["100.64.0.1"], Reach.PUBLIC),
        (["127.0.0.1", "::1"], Reach.LOOPBACK),
        (["127.9.9.9"], Reach.LOOPBACK),
        (["fd00:ec2::253"], Reach.PRIVATE),
        (["fe80::1%eth0"], Reach.PUBLIC),
        (["2600:1f18::1"], Reach.PUBLIC),
        (["::ffff:10.0.0.1"], Reach.PRIVATE),
        (["::ffff:8.8.8.8"], Reach.PUBLIC),
        (["::ffff:127.0.0.1"], Reach.LOOPBACK),
        (["64:ff9b::a00:1"], Reach.PUBLIC),
        (["10.0.0.1", "8.8.8.8"], Reach.PUBLIC),
        (["10.0.0.1", "127.0.0.1"], Reach.PRIVATE),
    ],
)
def test_addresses_of_both_families_are_told_apart(addresses: list[str], expected: Reach) -> None:
    assert reach(addresses) is expected


def test_statuses_are_the_figures_of_the_gauge() -> None:
    assert [status.value_of_gauge for status in Status] == [1.0, 0.5, 0.0]


def test_names_of_vpc_endpoints_are_those_of_the_region() -> None:
    row = endpoints.load().services["opensearch"]
    assert row.vpc_name("eu-west-1") == "com.amazonaws.eu-west-1.aoss"
