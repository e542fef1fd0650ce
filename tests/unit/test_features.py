"""Merging records of feature groups: whatever comes in whatever order, it ends alike."""

import random
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from domain.features import GroupRecord, UserFeatures, merge

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
