"""The batch actions of Feature Store runtime, and which of their entries fail when asked to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulators.featurestore_actions import chosen, expiry
from emulators.featurestore_shapes import (
    BatchGetRecord,
    BatchGetReply,
    BatchWriteRecord,
    BatchWriteReply,
    FoundRecord,
    GetFailure,
    Identifier,
    PutRecord,
    WriteEntry,
    WriteFailure,
)
from emulators.featurestore_state import validation
from emulators.wire import ApiError

if TYPE_CHECKING:
    from emulators.featurestore_actions import FeatureStoreActions
    from emulators.featurestore_state import Ttl
    from emulators.featurestore_store import FeatureStore
    from emulators.wire import Call

MAX_BATCH_GROUPS = 100
MAX_BATCH_IDENTIFIERS = 100
MAX_BATCH_RECORDS = 100
MAX_BATCH_WRITES = 25
INTERNAL = ("InternalFailure", "Internal failure.")


class FeatureStoreBatches:
    def __init__(self, store: FeatureStore, records: FeatureStoreActions) -> None:
        self._store = store
        self._records = records

    def batch_get(self, request: BatchGetRecord, call: Call) -> BatchGetReply:
        _check_count("Identifiers", request.identifiers, MAX_BATCH_GROUPS)
        for entry in request.identifiers:
            ids = entry.record_identifiers_value_as_string
            _check_count("RecordIdentifiersValueAsString", ids, MAX_BATCH_IDENTIFIERS)
        with_expiry = request.expiration_time_response == "Enabled"
        reply = BatchGetReply()
        for entry in request.identifiers:
            self._get_entry(entry, reply, call, with_expiry=with_expiry)
        return reply

    def _get_entry(
        self, entry: Identifier, reply: BatchGetReply, call: Call, *, with_expiry: bool
    ) -> None:
        left: list[str] = []
        for identifier in entry.record_identifiers_value_as_string:
            # records past the quota of one call come back unprocessed rather than refused
            over_quota = len(reply.records) + len(reply.errors) >= MAX_BATCH_RECORDS
            if over_quota or call.entry_fails():
                left.append(identifier)
            elif call.entry_errs():
                failure = GetFailure(entry.feature_group_name, identifier, *INTERNAL)
                reply.errors.append(failure)
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
        features = chosen(record, entry.feature_names or []) if record else []
        if record is not None and features:
            expires = expiry(record) if with_expiry else None
            reply.records.append(FoundRecord(name, identifier, features, expires))

    def batch_write(self, request: BatchWriteRecord, call: Call) -> BatchWriteReply:
        _check_count("Entries", request.entries, MAX_BATCH_WRITES)
        reply = BatchWriteReply()
        for entry in request.entries:
            if call.entry_fails():
                reply.unprocessed_entries.append(entry)
            elif call.entry_errs():
                reply.errors.append(WriteFailure(entry, *INTERNAL))
            else:
                self._write_one(entry, entry.ttl_duration or request.ttl_duration, reply)
        return reply

    def _write_one(self, entry: WriteEntry, ttl: Ttl | None, reply: BatchWriteReply) -> None:
        record = PutRecord(entry.record, entry.target_stores, ttl)
        try:
            self._records.put(entry.feature_group_name, record)
        except ApiError as error:
            reply.errors.append(WriteFailure(entry, error.code, error.message))


def _check_count(
    name: str, items: list[Identifier] | list[str] | list[WriteEntry], most: int
) -> None:
    if not 1 <= len(items) <= most:
        raise validation(f"{name} must hold from 1 to {most} members, not {len(items)}.")
