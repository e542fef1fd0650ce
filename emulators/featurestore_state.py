"""The online store of Feature Store: groups, records, event times, expiry, tombstones.

Pure state over a clock it is given. A record is replaced only by one with a later event time; times
are compared as parsed numbers, never as strings.
"""

from __future__ import annotations

import bisect
import datetime
import math
import re
from typing import TYPE_CHECKING

import msgspec

from emulators.wire import ApiError, Clock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ISO_8601 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?Z")
EPOCH = re.compile(r"\d+(\.\d+)?")
GROUP_NAME = re.compile(r"[a-zA-Z0-9](?:[-_]*[a-zA-Z0-9]){0,63}")
ARN_PREFIX = re.compile(r"arn:aws[a-z\-]*:sagemaker:[a-z0-9\-]*:[0-9]{12}:feature-group/")
STORAGE_TYPES = ("Standard", "Standard_V2", "InMemory")
UNIT_SECONDS = {"Seconds": 1, "Minutes": 60, "Hours": 3600, "Days": 86_400, "Weeks": 604_800}
MAX_FEATURES = 2500
MAX_RECORD_BYTES = 350 * 1024
MAX_IDENTIFIER_BYTES = 2048


class Feature(msgspec.Struct, rename="pascal", omit_defaults=True):
    feature_name: str
    value_as_string: str | None = None
    value_as_string_list: list[str] | None = None


class Ttl(msgspec.Struct, rename="pascal"):
    unit: str
    value: int

    def seconds(self) -> int:
        if self.unit not in UNIT_SECONDS or self.value < 1:
            raise validation("TtlDuration needs a Unit of time and a Value of at least 1.")
        return UNIT_SECONDS[self.unit] * self.value


class Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A declaration: what CreateFeatureGroup was told; without `features`, any may be written."""

    name: str
    record_identifier_name: str
    event_time_name: str
    storage_type: str = "Standard"
    ttl_seconds: int | None = None
    features: list[str] | None = None

    def __post_init__(self) -> None:
        if not GROUP_NAME.fullmatch(self.name):
            raise ValueError(f"not a feature group name: {self.name!r}")
        if not (self.record_identifier_name and self.event_time_name):
            raise ValueError(f"feature group {self.name} needs the names of its two features")
        if self.storage_type not in STORAGE_TYPES:
            raise ValueError(f"storage type must be one of {', '.join(STORAGE_TYPES)}")

    @classmethod
    def declared(cls, text: str) -> Group:
        """Read NAME:record_id_name:event_time_name[:storage_type]."""
        match text.split(":"):
            case [name, record_id, event_time]:
                return cls(name, record_id, event_time)
            case [name, record_id, event_time, storage_type]:
                return cls(name, record_id, event_time, storage_type)
        raise ValueError(f"expected NAME:record_id_name:event_time_name, not {text!r}")


class Record(msgspec.Struct, array_like=True):
    """The current record of an identifier; `deleted` marks a tombstone that keeps its time."""

    identifier: str
    event_time: float
    features: list[Feature]
    ttl_seconds: int | None = None
    deleted: bool = False

    @property
    def expires_at(self) -> float:
        return math.inf if self.ttl_seconds is None else self.event_time + self.ttl_seconds


def validation(message: str) -> ApiError:
    return ApiError("ValidationError", message)


def no_such_group(name: str) -> ApiError:
    return ApiError("ResourceNotFound", f"Feature Group {name} does not exist.", status=404)


def parse_event_time(text: str) -> float:
    """Epoch seconds from ISO-8601 UTC (yyyy-MM-ddTHH:mm:ss[.SSS]Z) or fractional epoch seconds."""
    if EPOCH.fullmatch(text):
        return float(text)
    match = ISO_8601.fullmatch(text)
    if match is not None:
        try:
            whole = datetime.datetime.fromisoformat(match[1] + "+00:00").timestamp()
        except ValueError:
            pass
        else:
            return whole + float(match[2] or 0)
    raise validation(
        f"EventTime {text!r} is neither ISO-8601 UTC (yyyy-MM-dd'T'HH:mm:ss[.SSS]Z) nor fractional "
        "epoch seconds."
    )


def format_time(seconds: float) -> str:
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    precision = "seconds" if seconds == int(seconds) else "milliseconds"
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")


class OnlineGroup:
    """The records of one group. Expired ones are dropped when met."""

    def __init__(self, group: Group, clock: Clock) -> None:
        self.group = group
        self._clock = clock
        self._records: dict[str, Record] = {}
        self._sorted: list[str] | None = None

    def current(self, identifier: str) -> Record | None:
        """The record or tombstone, unless it has expired."""
        record = self._records.get(identifier)
        if record is not None and record.expires_at <= self._clock():
            self.drop(identifier)
            return None
        return record

    def get(self, identifier: str) -> Record | None:
        record = self.current(identifier)
        return None if record is None or record.deleted else record

    def supersedes(self, identifier: str, event_time: float) -> bool:
        current = self.current(identifier)
        return current is None or event_time > current.event_time

    def put(self, record: Record) -> None:
        if record.identifier not in self._records:
            self._sorted = None
        self._records[record.identifier] = record

    def drop(self, identifier: str) -> None:
        if self._records.pop(identifier, None) is not None:
            self._sorted = None

    def __iter__(self) -> Iterator[Record]:
        now = self._clock()
        return (record for record in self._records.values() if record.expires_at > now)

    def identifiers(self, after: str, limit: int, *, with_deleted: bool) -> tuple[list[str], bool]:
        """Up to `limit` identifiers in order, after a given one, and whether there are more."""
        if self._sorted is None:
            self._sorted = sorted(self._records)
        names, found = self._sorted, list[str]()
        for name in names[bisect.bisect_right(names, after) if after else 0 :]:
            record = self._records.get(name)
            if record is None or record.expires_at <= self._clock():
                continue
            if record.deleted and not with_deleted:
                continue
            if len(found) == limit:
                return found, True
            found.append(name)
        return found, False


def read_record(group: Group, features: list[Feature], ttl: Ttl | None) -> Record:
    """A whole record as PutRecord gives it; raises a ValidationError that says what is wrong."""
    check_features(features)
    check_names(group, features)
    values = {feature.feature_name: feature.value_as_string for feature in features}
    identifier = values.get(group.record_identifier_name)
    if not identifier:
        raise validation(f"Missing record identifier feature {group.record_identifier_name!r}.")
    if len(identifier.encode()) > MAX_IDENTIFIER_BYTES:
        raise validation(f"The record identifier exceeds {MAX_IDENTIFIER_BYTES} bytes.")
    event_time = values.get(group.event_time_name)
    if not event_time:
        raise validation(f"Missing event time feature {group.event_time_name!r}.")
    seconds = ttl.seconds() if ttl is not None else group.ttl_seconds
    return Record(identifier, parse_event_time(event_time), with_values(features), seconds)


def with_values(features: Iterable[Feature]) -> list[Feature]:
    """Without the features that are null: the store never returns those."""
    return [f for f in features if (f.value_as_string, f.value_as_string_list) != (None, None)]


def check_features(features: list[Feature]) -> None:
    if not 1 <= len(features) <= MAX_FEATURES:
        raise validation(f"A record holds from 1 to {MAX_FEATURES} features.")
    if len({feature.feature_name for feature in features}) < len(features):
        raise validation("A feature name may appear only once in a record.")
    for feature in features:
        if not GROUP_NAME.fullmatch(feature.feature_name):
            raise validation(f"Not a feature name: {feature.feature_name!r}.")
        if feature.value_as_string is not None and feature.value_as_string_list is not None:
            raise validation(f"Feature {feature.feature_name!r} has two values.")
    if sum(map(_size, features)) > MAX_RECORD_BYTES:
        raise validation(f"The record exceeds {MAX_RECORD_BYTES} bytes.")


def check_names(group: Group, features: list[Feature]) -> None:
    for feature in features:
        if group.features is not None and feature.feature_name not in group.features:
            raise validation(f"{group.name} has no feature {feature.feature_name!r}.")


def _size(feature: Feature) -> int:
    texts = [feature.feature_name, feature.value_as_string or ""]
    return sum(len(text.encode()) for text in texts + (feature.value_as_string_list or []))
