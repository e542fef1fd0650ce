"""Event times, expiry and order of the Feature Store emulator, on a clock that the test moves."""

from __future__ import annotations

import pytest

from emulators.featurestore_state import (
    Feature,
    Group,
    OnlineGroup,
    Record,
    Ttl,
    format_time,
    parse_event_time,
    read_record,
)
from emulators.wire import ApiError

GROUP = Group("users", "user_id", "at")


def features(at: str, **values: str) -> list[Feature]:
    given = {"user_id": "u1", "at": at, **values}
    return [Feature(name, value) for name, value in given.items()]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1700000000", 1_700_000_000.0),
        ("1700000000.25", 1_700_000_000.25),
        ("2023-11-14T22:13:20Z", 1_700_000_000.0),
        ("2023-11-14T22:13:20.250Z", 1_700_000_000.25),
    ],
)
def test_event_times_are_numbers_or_iso_8601(text: str, seconds: float) -> None:
    assert parse_event_time(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "-1", "2023-11-14", "2023-11-14T22:13:20+09:00", "2023-13-01T00:00:00Z"],
)
def test_other_event_times_are_refused(text: str) -> None:
    with pytest.raises(ApiError, match="EventTime"):
        parse_event_time(text)


def test_times_are_compared_as_numbers_not_as_strings() -> None:
    online = OnlineGroup(GROUP, lambda: 0.0)
    online.put(read_record(GROUP, features("999999999"), None))
    assert online.supersedes("u1", parse_event_time("1700000000"))
    assert online.supersedes("u1", parse_event_time("2023-11-14T22:13:20Z"))


def test_an_equal_event_time_does_not_supersede() -> None:
    online = OnlineGroup(GROUP, lambda: 0.0)
    online.put(read_record(GROUP, features("10"), None))
    assert not online.supersedes("u1", 10.0)


def test_a_record_expires_at_event_time_plus_duration() -> None:
    now = 100.0
    online = OnlineGroup(GROUP, lambda: now)
    online.put(read_record(GROUP, features("90"), Ttl("Minutes", 1)))
    assert online.get("u1") is not None
    now = 150.0
    assert online.get("u1") is None
    assert online.supersedes("u1", 1.0)


def test_the_group_gives_the_duration_a_record_does_not() -> None:
    group = Group("users", "user_id", "at", ttl_seconds=5)
    assert read_record(group, features("90"), None).expires_at == 95
    assert read_record(group, features("90"), Ttl("Seconds", 7)).expires_at == 97


def test_null_features_are_not_kept() -> None:
    record = read_record(GROUP, [*features("1"), Feature("empty")], None)
    assert [f.feature_name for f in record.features] == ["user_id", "at"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([Feature("at", "1")], "record identifier"),
        ([Feature("user_id", "u")], "event time"),
        ([*features("1"), Feature("at", "2")], "only once"),
        ([*features("1"), Feature("bad name", "2")], "feature name"),
        (features("1", big="x" * 360_000), "exceeds"),
        ([], "from 1 to"),
    ],
)
def test_a_record_that_breaks_a_rule_says_which(given: list[Feature], words: str) -> None:
    with pytest.raises(ApiError, match=words) as caught:
        read_record(GROUP, given, None)
    assert caught.value.code == "ValidationError"


def test_identifiers_come_in_pages_without_the_deleted() -> None:
    online = OnlineGroup(GROUP, lambda: 0.0)
    for name in ("c", "a", "b", "d"):
        online.put(Record(name, 1.0, [], deleted=name == "b"))
    assert online.identifiers("", 2, with_deleted=False) == (["a", "c"], True)
    assert online.identifiers("c", 2, with_deleted=False) == (["d"], False)
    assert online.identifiers("", 9, with_deleted=True) == (["a", "b", "c", "d"], False)


@pytest.mark.parametrize(
    "text", ["users", "users:id", "a:b:c:d:e", "users:id:at:Fast", "u s:id:at", "users::at"]
)
def test_a_bad_declaration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|storage type|not a feature|needs the names"):
        Group.declared(text)


def test_times_are_written_in_utc() -> None:
    assert format_time(1_700_000_000.0) == "2023-11-14T22:13:20Z"
    assert format_time(1_700_000_000.25) == "2023-11-14T22:13:20.250Z"
