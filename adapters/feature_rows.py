"""Rows of feature files: `{"user_id", "group", "event_time", "features": {…}}`, one on a line.

`event_time` is ISO 8601 in UTC or epoch seconds. A row that does not fit its declared group raises
ValueError with one line that says why and quotes nothing of what is told of the user.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Annotated

import msgspec
from msgspec import Meta

from adapters.jsonl_lines import MAX_LINE_BYTES, lines_of
from config.features import FeatureGroup
from domain.catalogue import RowError
from domain.errors import Malformed
from domain.features import GroupRecord, event_time_of

MAX_FEATURES = 2498
"""What the store takes, less the identifier and the event time."""
MAX_VALUE_CHARS = 8192

_Text = Annotated[str, Meta(max_length=MAX_VALUE_CHARS)]
_Value = _Text | int | float | Annotated[list[_Text], Meta(max_length=1000)] | None


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    user_id: Annotated[str, Meta(min_length=1, max_length=256)]
    group: str
    event_time: str | int | float
    features: Annotated[dict[str, _Value], Meta(min_length=1, max_length=MAX_FEATURES)]


_decode = msgspec.json.Decoder(_Row).decode


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """One record that is to be written; features without a value are left out."""

    user_id: str
    group: str
    event_time: float
    features: Mapping[str, str | Sequence[str]]


def rows_of(
    raw: IO[bytes], groups: Mapping[str, FeatureGroup], now: float, after: int = 0
) -> Iterator[tuple[int, FeatureRow | RowError]]:
    """The rows of a file behind a line, each with its line, and what is wrong with bad ones."""
    for line, data in enumerate(lines_of(raw), 1):
        if line <= after or (data is not None and not data.strip()):
            continue
        if data is None:
            yield line, RowError(line, f"longer than {MAX_LINE_BYTES} bytes")
            continue
        try:
            yield line, parse_row(data, groups, now)
        except ValueError as error:
            yield line, RowError(line, str(error))


def parse_row(line: bytes, groups: Mapping[str, FeatureGroup], now: float) -> FeatureRow:
    """The row in a line; raises ValueError."""
    try:
        row = _decode(line)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError("not JSON") from error
    group = groups.get(row.group)
    if group is None:
        raise ValueError(f"no feature group is named so; there are {', '.join(groups)}")
    event_time = _event_time(row.event_time)
    if GroupRecord(event_time).is_ahead(now):
        raise ValueError("event_time lies in the future")
    features = {
        name: _written(name, value, group)
        for name, value in row.features.items()
        if value is not None
    }
    return FeatureRow(row.user_id, row.group, event_time, features)


def _event_time(given: str | float) -> float:
    try:
        return event_time_of(given if isinstance(given, str) else f"{given:.6f}")
    except Malformed as error:
        raise ValueError("event_time is neither ISO 8601 in UTC nor epoch seconds") from error


def _written(name: str, value: str | float | list[str], group: FeatureGroup) -> str | Sequence[str]:
    kind = group.features.get(name)
    if kind is None:
        raise ValueError(f"the group has no such feature; it has {', '.join(group.features)}")
    if isinstance(value, list):
        if kind != "String":
            raise ValueError(f"{name} must be {kind}, not a list")
        return value
    number = _number(value)
    if (kind == "Integral" and not isinstance(number, int)) or (
        kind == "Fractional" and number is None
    ):
        raise ValueError(f"{name} must be {kind}")
    return value if isinstance(value, str) else repr(value)


def _number(value: str | float) -> int | float | None:
    """The number that a value is or writes out; a whole one as int."""
    if not isinstance(value, str):
        return value
    for kind in (int, float):
        try:
            number = kind(value)
        except ValueError:
            continue
        return number if number == number else None  # noqa: PLR0124 - NaN is no value
    return None
