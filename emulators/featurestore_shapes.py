"""What the actions of Feature Store runtime are asked and what they reply, as the API spells it."""

import msgspec

from emulators.featurestore_state import Feature, Ttl


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
