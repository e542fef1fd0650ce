"""The actions of Feature Store runtime on the online store.

There is no offline store: what would go only there (historic records, TargetStores) is dropped.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from emulators.featurestore_state import (
    Feature,
    Group,
    OnlineGroup,
    Record,
    Ttl,
    check_features,
    format_time,
    parse_event_time,
    read_record,
    validation,
    with_values,
)
from emulators.wire import ApiError

if TYPE_CHECKING:
    from emulators.featurestore_store import FeatureStore

MAX_BATCH_GROUPS = 100
MAX_BATCH_IDENTIFIERS = 100
MAX_BATCH_RECORDS = 100
MAX_BATCH_WRITES = 25
MAX_UPDATED_FEATURES = 100
MAX_LISTED = 100
TARGET_STORES = frozenset({"OnlineStore", "OfflineStore"})

EntryFails = Callable[[], bool] | None


class PutRecord(msgspec.Struct, rename="pascal"):
    record: list[Feature]
    target_stores: list[str] | None = None
    ttl_duration: Ttl | None = None


class UpdateRecord(msgspec.Struct, rename="pascal"):
    record_identifier_value_as_string: str
    features: list[Feature]
    target_stores: list[str] | None = None
    ttl_duration: Ttl | None = None


class GetRecord(msgspec.Struct):
    identifier: str
    feature_names: list[str]
    with_expiry: bool


class DeleteRecord(msgspec.Struct):
    identifier: str
    event_time: str
    target_stores: list[str]
    mode: str


class ListRecords(msgspec.Struct, rename="pascal"):
    max_results: int | None = None
    next_token: str = ""
    include_soft_deleted_records: bool = False


class Identifier(msgspec.Struct, rename="pascal", omit_defaults=True):
    feature_group_name: str
    record_identifiers_value_as_string: list[str]
    feature_names: list[str] | None = None


class BatchGetRecord(msgspec.Struct, rename="pascal"):
    identifiers: list[Identifier]
    expiration_time_response: str | None = None


class WriteEntry(msgspec.Struct, rename="pascal", omit_defaults=True):
    feature_group_name: str
    record: list[Feature]
    target_stores: list[str] | None = None
    ttl_duration: Ttl | None = None


class BatchWriteRecord(msgspec.Struct, rename="pascal"):
    entries: list[WriteEntry]
    ttl_duration: Ttl | None = None


class RecordReply(msgspec.Struct, rename="pascal", omit_defaults=True):
    record: list[Feature] | None = None
    expires_at: str | None = None


class FoundRecord(msgspec.Struct, rename="pascal", omit_defaults=True):
    feature_group_name: str
    record_identifier_value_as_string: str
    record: list[Feature]
    expires_at: str | None = None


class GetFailure(msgspec.Struct, rename="pascal"):
    feature_group_name: str
    record_identifier_value_as_string: str
    error_code: str
    error_message: str


class BatchGetReply(msgspec.Struct, rename="pascal"):
    records: list[FoundRecord] = []
    errors: list[GetFailure] = []
    unprocessed_identifiers: list[Identifier] = []


class WriteFailure(msgspec.Struct, rename="pascal"):
    entry: WriteEntry
    error_code: str
    error_message: str


class BatchWriteReply(msgspec.Struct, rename="pascal"):
    errors: list[WriteFailure] = []
    unprocessed_entries: list[WriteEntry] = []


class ListReply(msgspec.Struct, rename="pascal", omit_defaults=True):
    record_identifiers: list[str]
    next_token: str = ""


class FeatureStoreActions:
    def __init__(self, store: FeatureStore) -> None:
        self._store = store

    # --- one record ---

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
        features = _chosen(record, request.feature_names)
        return RecordReply(features or None, _expiry(record) if request.with_expiry else None)

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

    # --- batches ---

    def batch_get(self, request: BatchGetRecord, fails: EntryFails) -> BatchGetReply:
        _check_count("Identifiers", request.identifiers, MAX_BATCH_GROUPS)
        for entry in request.identifiers:
            ids = entry.record_identifiers_value_as_string
            _check_count("RecordIdentifiersValueAsString", ids, MAX_BATCH_IDENTIFIERS)
        reply = BatchGetReply()
        for entry in request.identifiers:
            self._get_entry(entry, reply, fails, request.expiration_time_response == "Enabled")
        return reply

    def _get_entry(
        self, entry: Identifier, reply: BatchGetReply, fails: EntryFails, with_expiry: bool
    ) -> None:
        left: list[str] = []
        for identifier in entry.record_identifiers_value_as_string:
            # records past the quota of one call come back unprocessed rather than refused
            over_quota = len(reply.records) + len(reply.errors) >= MAX_BATCH_RECORDS
            if over_quota or (fails is not None and fails()):
                left.append(identifier)
            else:
                self._get_one(entry, identifier, reply, with_expiry=with_expiry)
        if left:
            name = entry.feature_group_name
            reply.unprocessed_identifiers.append(Identifier(name, left, entry.feature_names))

    def _get_one(
        self, entry: Identifier, identifier: str, reply: BatchGetReply, *, with_expiry: bool
    ) -> None:
        name = entry.feature_group_name
        try:
            record = self._store.get(name).get(identifier)
        except ApiError as error:
            reply.errors.append(GetFailure(name, identifier, error.code, error.message))
            return
        features = _chosen(record, entry.feature_names or []) if record else []
        if record is not None and features:
            expiry = _expiry(record) if with_expiry else None
            reply.records.append(FoundRecord(name, identifier, features, expiry))

    def batch_write(self, request: BatchWriteRecord, fails: EntryFails) -> BatchWriteReply:
        _check_count("Entries", request.entries, MAX_BATCH_WRITES)
        reply = BatchWriteReply()
        for entry in request.entries:
            if fails is not None and fails():
                reply.unprocessed_entries.append(entry)
                continue
            ttl = entry.ttl_duration or request.ttl_duration
            try:
                self.put(
                    entry.feature_group_name, PutRecord(entry.record, entry.target_stores, ttl)
                )
            except ApiError as error:
                reply.errors.append(WriteFailure(entry, error.code, error.message))
        return reply


def _is_online(targets: list[str] | None) -> bool:
    if not targets:
        return True
    if not TARGET_STORES.issuperset(targets):
        raise validation(f"TargetStores must be among {', '.join(sorted(TARGET_STORES))}.")
    return "OnlineStore" in targets


def _chosen(record: Record, names: list[str]) -> list[Feature]:
    if not names:
        return record.features
    return [feature for feature in record.features if feature.feature_name in names]


def _expiry(record: Record) -> str | None:
    return None if record.ttl_seconds is None else format_time(record.expires_at)


def _check_update(group: Group, request: UpdateRecord) -> None:
    if group.storage_type == "Standard":
        raise validation("UpdateRecord needs a feature group stored as Standard_V2 or InMemory.")
    check_features(request.features)
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


def _check_count(
    name: str, items: list[Identifier] | list[str] | list[WriteEntry], most: int
) -> None:
    if not 1 <= len(items) <= most:
        raise validation(f"{name} must hold from 1 to {most} members, not {len(items)}.")


def _read_token(token: str) -> str:
    try:
        return base64.b64decode(token, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise validation("NextToken is not one of ours.") from error
