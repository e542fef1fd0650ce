"""The actions of Feature Store runtime on one record, and the list of them.

There is no offline store: what would go only there (historic records, TargetStores) is dropped.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from emulators.featurestore_shapes import (
    DeleteRecord,
    GetRecord,
    ListRecords,
    ListReply,
    PutRecord,
    RecordReply,
    UpdateRecord,
)
from emulators.featurestore_state import (
    Feature,
    Group,
    OnlineGroup,
    Record,
    check_features,
    check_names,
    format_time,
    parse_event_time,
    read_record,
    validation,
    with_values,
)
from emulators.wire import ApiError

if TYPE_CHECKING:
    from emulators.featurestore_store import FeatureStore

MAX_UPDATED_FEATURES = 100
MAX_LISTED = 100
TARGET_STORES = frozenset({"OnlineStore", "OfflineStore"})


class FeatureStoreActions:
    def __init__(self, store: FeatureStore) -> None:
        self._store = store

    def put(self, group: str, request: PutRecord) -> None:
        """An older or equal event time leaves the online record as it is, without an error."""
        online = self._store.get(group)
        record = read_record(online.group, request.record, request.ttl_duration)
        to_online = _is_online(request.target_stores)
        if to_online and online.supersedes(record.identifier, record.event_time):
            self._store.put(online, record)

    def get(self, group: str, request: GetRecord) -> RecordReply:
        record = self._store.get(group).get(request.identifier)
        if record is None:
            return RecordReply()
        features = chosen(record, request.feature_names)
        return RecordReply(features or None, expiry(record) if request.with_expiry else None)

    def update(self, group: str, request: UpdateRecord) -> None:
        online = self._store.get(group)
        _check_update(online.group, request)
        to_online = _is_online(request.target_stores)
        identifier = request.record_identifier_value_as_string
        current = online.get(identifier)
        if current is None:
            message = f"Record {identifier!r} does not exist in {online.group.name}."
            raise ApiError("ResourceNotFound", message, status=404)
        updated = _updated(online, current, request)
        if to_online:
            self._store.put(online, updated)

    def delete(self, group: str, request: DeleteRecord) -> None:
        online = self._store.get(group)
        event_time = parse_event_time(request.event_time)
        if request.mode not in {"SoftDelete", "HardDelete"}:
            raise validation(f"Unknown DeletionMode {request.mode!r}.")
        hard = request.mode == "HardDelete"
        if not _is_online(request.target_stores):
            return
        if not online.supersedes(request.identifier, event_time):
            if hard:
                raise validation("EventTime must be later than that of the existing record.")
            return
        if hard:
            self._store.drop(online, request.identifier)
        else:
            tombstone = Record(request.identifier, event_time, [], deleted=True)
            self._store.put(online, tombstone)

    def list_records(self, group: str, request: ListRecords) -> ListReply:
        online = self._store.get(group)
        if online.group.storage_type == "Standard":
            raise validation("ListRecords needs a feature group stored as Standard_V2 or InMemory.")
        limit = MAX_LISTED if request.max_results is None else request.max_results
        if not 1 <= limit <= MAX_LISTED:
            raise validation(f"MaxResults must be from 1 to {MAX_LISTED}.")
        found, more = online.identifiers(
            _read_token(request.next_token),
            limit,
            with_deleted=request.include_soft_deleted_records,
        )
        token = base64.b64encode(found[-1].encode()).decode() if more else ""
        return ListReply(found, token)


def _is_online(targets: list[str] | None) -> bool:
    if not targets:
        return True
    if not TARGET_STORES.issuperset(targets):
        raise validation(f"TargetStores must be among {', '.join(sorted(TARGET_STORES))}.")
    return "OnlineStore" in targets


def chosen(record: Record, names: list[str]) -> list[Feature]:
    if not names:
        return record.features
    return [feature for feature in record.features if feature.feature_name in names]


def expiry(record: Record) -> str | None:
    return None if record.ttl_seconds is None else format_time(record.expires_at)


def _check_update(group: Group, request: UpdateRecord) -> None:
    if group.storage_type == "Standard":
        raise validation("UpdateRecord needs a feature group stored as Standard_V2 or InMemory.")
    check_features(request.features)
    check_names(group, request.features)
    if len(request.features) > MAX_UPDATED_FEATURES:
        raise validation(f"At most {MAX_UPDATED_FEATURES} features can be updated in one call.")


def _updated(online: OnlineGroup, current: Record, request: UpdateRecord) -> Record:
    group = online.group
    changed = {feature.feature_name: feature for feature in request.features}
    identity = changed.get(group.record_identifier_name)
    if identity is not None and identity.value_as_string != current.identifier:
        raise validation("The record identifier cannot be updated.")
    time_given = changed.get(group.event_time_name)
    if request.ttl_duration is not None and time_given is None:
        raise validation("A TtlDuration needs an EventTime in the same request.")
    event_time = current.event_time
    if time_given is not None:
        event_time = parse_event_time(time_given.value_as_string or "")
        if event_time < current.event_time:
            message = "The EventTime is older than that of the existing record."
            raise ApiError("ConflictException", message, status=409)
    merged = {feature.feature_name: feature for feature in current.features} | changed
    ttl = request.ttl_duration
    seconds = ttl.seconds() if ttl is not None else current.ttl_seconds
    return Record(current.identifier, event_time, with_values(merged.values()), seconds)


def _read_token(token: str) -> str:
    try:
        return base64.b64decode(token, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise validation("NextToken is not one of ours.") from error
