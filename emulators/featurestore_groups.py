"""The control plane of Feature Store: SageMaker's CreateFeatureGroup and what goes with it.

AWS JSON 1.1. A group is there as soon as it is created. Of an offline store nothing is kept.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from emulators.featurestore_state import Group, Ttl, validation
from emulators.wire import ApiError

if TYPE_CHECKING:
    from emulators.featurestore_store import FeatureStore

TARGET_PREFIX = "SageMaker."
CONTENT_TYPE = "application/x-amz-json-1.1"


class Definition(msgspec.Struct, rename="pascal", omit_defaults=True):
    feature_name: str
    feature_type: str = "String"


class OnlineStore(msgspec.Struct, rename="pascal", omit_defaults=True):
    enable_online_store: bool = False
    storage_type: str = "Standard"
    ttl_duration: Ttl | None = None


class CreateFeatureGroup(msgspec.Struct, rename="pascal"):
    feature_group_name: str
    record_identifier_feature_name: str
    event_time_feature_name: str
    feature_definitions: list[Definition]
    online_store_config: OnlineStore | None = None


class DescribeFeatureGroup(msgspec.Struct, rename="pascal"):
    feature_group_name: str


class GroupActions:
    def __init__(self, store: FeatureStore, account: str, region: str) -> None:
        self._store = store
        self._arn = f"arn:aws:sagemaker:{region}:{account}:feature-group/"

    def create(self, request: CreateFeatureGroup) -> dict[str, Any]:
        name, online = request.feature_group_name, request.online_store_config
        if online is None or not online.enable_online_store:
            raise validation("Only groups with an online store are emulated.")
        keys = (request.record_identifier_feature_name, request.event_time_feature_name)
        features = [definition.feature_name for definition in request.feature_definitions]
        if not set(keys) <= set(features):
            raise validation("The record identifier and the event time need definitions.")
        if name in {group.name for group in self._store}:
            raise ApiError("ResourceInUse", f"Resource Already Exists: {self._arn}{name}")
        ttl = online.ttl_duration
        try:
            group = Group(
                name, *keys, online.storage_type, ttl.seconds() if ttl else None, features
            )
        except ValueError as error:
            raise validation(str(error)) from error
        self._store.declare(group)
        return {"FeatureGroupArn": self._arn + name}

    def describe(self, request: DescribeFeatureGroup) -> dict[str, Any]:
        group = self._store.get(request.feature_group_name).group
        keys = [group.record_identifier_name, group.event_time_name]
        config: dict[str, Any] = {"EnableOnlineStore": True, "StorageType": group.storage_type}
        if group.ttl_seconds is not None:
            config["TtlDuration"] = {"Unit": "Seconds", "Value": group.ttl_seconds}
        return {
            "FeatureGroupArn": self._arn + group.name,
            "FeatureGroupName": group.name,
            "RecordIdentifierFeatureName": keys[0],
            "EventTimeFeatureName": keys[1],
            "FeatureDefinitions": [
                {"FeatureName": name, "FeatureType": "String"} for name in group.features or keys
            ],
            "CreationTime": int(time.time()),
            "OnlineStoreConfig": config,
            "FeatureGroupStatus": "Created",
            "NextToken": "",
        }
