"""The health of endpoints as CloudWatch metrics, one set for each service.

What was not measured is left out: a 0 would look like the best time of all. Needs
cloudwatch:PutMetricData.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from adapters.aws_clients import AwsClients
from adapters.aws_errors import translated
from domain.endpoint_health import Health, Reach

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.literals import StandardUnitType
    from mypy_boto3_cloudwatch.type_defs import MetricDatumTypeDef

MAX_METRICS = 1000
"""The most that PutMetricData takes in a request."""


class CloudWatchHealth:
    """Implements `domain.ports.HealthReports`."""

    def __init__(self, aws: AwsClients, namespace: str) -> None:
        self._aws = aws
        self._namespace = namespace

    def put(self, healths: Sequence[Health]) -> None:
        """Report these; raises Transient or Permanent."""
        metrics = [metric for health in healths for metric in _metrics(health)]
        with translated("cloudwatch"):
            for at in range(0, len(metrics), MAX_METRICS):
                self._aws.cloudwatch.put_metric_data(
                    Namespace=self._namespace, MetricData=metrics[at : at + MAX_METRICS]
                )


def _metrics(health: Health) -> "Iterator[MetricDatumTypeDef]":
    probe = health.probe
    is_private = None if probe.reach is None else float(probe.reach is not Reach.PUBLIC)
    rows: Sequence[tuple[str, float | None, StandardUnitType]] = (
        ("EndpointHealth", health.status.value_of_gauge, "None"),
        ("IsPrivateIP", is_private, "None"),
        ("DNSResolutionLatency", probe.dns_ms, "Milliseconds"),
        ("TCPConnectLatency", probe.connect_ms, "Milliseconds"),
        ("TLSHandshakeLatency", probe.tls_ms, "Milliseconds"),
        ("SignedCallLatency", probe.call_ms, "Milliseconds"),
    )
    for name, value, unit in rows:
        if value is not None:
            yield {
                "MetricName": name,
                "Value": value,
                "Unit": unit,
                "Dimensions": [{"Name": "Service", "Value": probe.service}],
            }
