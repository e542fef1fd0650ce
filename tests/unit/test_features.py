"""Merging records of feature groups: whatever comes in whatever order, it ends alike."""

import random
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Malformed
from domain.features import (
    GroupRecord,
    UserFeatures,
    event_time_of,
    iso_8601,
    merge,
    tombstone_over,
)
from domain.merging import admit

Write = Mapping[str, GroupRecord]

records = st.builds(
    GroupRecord,
    event_time=st.sampled_from([1.0, 2.0, 9.0, 10.0]),
    values=st.dictionaries(st.sampled_from("ab"), st.sampled_from(["9", "10", "é"]), max_size=2),
    expires_at=st.sampled_from([None, 5.0, 50.0]),
    is_deleted=st.booleans(),
)
writes = st.lists(st.dictionaries(st.sampled_from(["user-profile", "user-activity"]), records))


@given(writes, st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_of_writes_ends_alike(
    given_writes: list[Write], rng: random.Random
) -> None:
    again = [*given_writes, *(w for w in given_writes if rng.random() < 0.5)]
    rng.shuffle(again)
    assert merge("u", again) == merge("u", given_writes)


def test_an_older_record_does_not_replace_a_newer_one() -> None:
    user = UserFeatures("u", {"user-profile": GroupRecord(10.0, {"age": "40"})})
    assert user.merged({"user-profile": GroupRecord(9.0, {"age": "39"})}) == user


def test_a_group_that_is_missing_from_a_write_keeps_what_it_has() -> None:
    user = UserFeatures("u", {"user-profile": GroupRecord(1.0, {"age": "40"})})
    merged = user.merged({"user-activity": GroupRecord(2.0, {"reads": "7"})})
    assert merged.groups["user-profile"] == user.groups["user-profile"]


def test_a_deleted_record_is_not_read_and_does_not_come_back_with_an_older_write() -> None:
    user = UserFeatures("u", {"user-profile": GroupRecord(5.0, {"age": "40"})})
    deleted = user.merged({"user-profile": GroupRecord(6.0, is_deleted=True)})
    assert deleted.live(now=7.0) == {}
    assert deleted.merged(user.groups).live(now=7.0) == {}


def test_a_record_past_its_time_to_live_is_not_read() -> None:
    user = UserFeatures("u", {"user-profile": GroupRecord(5.0, {"age": "40"}, expires_at=10.0)})
    assert user.live(now=9.9) == {"user-profile": {"age": "40"}}
    assert user.live(now=10.0) == {}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1700000000", 1_700_000_000.0),
        ("1700000000.25", 1_700_000_000.25),
        ("2023-11-14T22:13:20Z", 1_700_000_000.0),
        ("2023-11-14T22:13:20.250Z", 1_700_000_000.25),
    ],
)
def test_event_times_of_both_kinds_are_numbers(text: str, seconds: float) -> None:
    assert event_time_of(text) == seconds


@given(st.integers(0, 4_000_000_000_000))
def test_an_event_time_is_written_to_the_millisecond(milliseconds: int) -> None:
    assert event_time_of(iso_8601(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)


@pytest.mark.parametrize("text", ["soon", "", "2026-13-01T00:00:00Z", "-1", "1e9", "nan"])
def test_what_is_no_event_time_is_refused(text: str) -> None:
    with pytest.raises(Malformed, match="event time"):
        event_time_of(text)


def test_a_record_of_a_clock_that_is_ahead_is_kept_back_alone() -> None:
    records = {"a": GroupRecord(1300.0), "b": GroupRecord(1300.1)}
    admitted = admit(records, now=1000.0)
    assert admitted.records.keys() == {"a"}
    assert admitted.ahead.keys() == {"b"}


def test_a_tombstone_for_one_record_stands_over_it_and_nothing_newer() -> None:
    record = GroupRecord(1_700_000_000.25, {"age": "40"})
    grave = tombstone_over(record, 60.0)
    assert grave.supersedes(record)
    assert GroupRecord(1_700_000_000.251).supersedes(grave)
    assert not grave.is_live(record.event_time)


def test_features_expire_with_the_last_of_their_groups() -> None:
    first, last = GroupRecord(1.0, expires_at=5.0), GroupRecord(1.0, expires_at=9.0)
    assert UserFeatures("u", {"a": first, "b": last}).expires_at == 9.0
    assert UserFeatures("u", {"a": first, "b": GroupRecord(1.0)}).expires_at is None
    assert UserFeatures("u").expires_at is None
