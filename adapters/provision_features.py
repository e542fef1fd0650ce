"""Creates a feature group where it is not there; one that is there stays as it is.

Waits until it can be used. Needs sagemaker:CreateFeatureGroup and sagemaker:DescribeFeatureGroup.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from adapters.aws_clients import AwsClients
from adapters.aws_errors import code_of, translated
from config.features import FeatureGroup
from domain.errors import Permanent, Transient

WAIT_SECONDS, WAIT_TRIES = 2.0, 150


def provision_group(
    aws: AwsClients,
    name: str,
    group: FeatureGroup,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Create the group unless it is there, and wait for it; raises Transient or Permanent."""
    with translated("sagemaker"):
        status = _status(aws, name)
        if not status:
            _create(aws, name, group)
        for _ in range(WAIT_TRIES):
            status = _status(aws, name)
            if status == "Created":
                return
            if status not in {"Creating", ""}:
                raise Permanent(f"the feature group {name} is {status}")
            sleep(WAIT_SECONDS)
    raise Transient(f"the feature group {name} did not become usable in time")


def _status(aws: AwsClients, name: str) -> str:
    try:
        found = aws.sagemaker.describe_feature_group(FeatureGroupName=name)
    except ClientError as error:
        if code_of(error) != "ResourceNotFound":
            raise
        return ""
    return str(found["FeatureGroupStatus"])


def _create(aws: AwsClients, name: str, group: FeatureGroup) -> None:
    try:
        aws.sagemaker.create_feature_group(**_request(name, group))
    except ClientError as error:
        if code_of(error) != "ResourceInUse":  # somebody else was quicker
            raise


def _request(name: str, group: FeatureGroup) -> Mapping[str, Any]:
    online: dict[str, Any] = {"EnableOnlineStore": True, "StorageType": group.storage}
    if group.ttl_days is not None:
        online["TtlDuration"] = {"Unit": "Days", "Value": group.ttl_days}
    types = {
        group.record_id: "String",
        group.event_time: group.event_time_type,
        **group.features,
    }
    return {
        "FeatureGroupName": name,
        "RecordIdentifierFeatureName": group.record_id,
        "EventTimeFeatureName": group.event_time,
        "FeatureDefinitions": [
            {"FeatureName": feature, "FeatureType": kind} for feature, kind in types.items()
        ],
        "OnlineStoreConfig": online,
    }
