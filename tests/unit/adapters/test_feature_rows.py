"""Rows of feature files: what is taken, and what is refused with which reason."""

import json

import pytest

from adapters.feature_rows import FeatureRow, parse_row
from config.features import declared
from tests.fakes import NOW

GROUPS = declared().groups


def line(**changes: object) -> bytes:
    row: dict[str, object] = {
        "user_id": "花",
        "group": "user-activity",
        "event_time": "2026-01-02T03:04:05.250Z",
        "features": {"views_7d": 3, "mean_rating": 4.5, "last_read_id": None, "reads_7d": "7"},
    }
    return json.dumps({**row, **changes}).encode()


def test_a_row_is_read_and_its_values_become_text() -> None:
    features = {"views_7d": "3", "mean_rating": "4.5", "reads_7d": "7"}
    expected = FeatureRow("花", "user-activity", 1_767_323_045.25, features)
    assert parse_row(line(), GROUPS, NOW) == expected


@pytest.mark.parametrize("at", [1_700_000_000.25, 1_700_000_000, "1700000000", "1700000000.5"])
def test_event_times_may_be_numbers(at: object) -> None:
    found = parse_row(line(event_time=at), GROUPS, NOW)
    assert found.event_time == pytest.approx(float(str(at)))


def test_a_feature_may_be_a_list_of_texts() -> None:
    row = line(group="user-profile", features={"favourite_genres": ["少年", "sf"]})
    assert parse_row(row, GROUPS, NOW).features == {"favourite_genres": ["少年", "sf"]}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"{", "not JSON"),
        (b'{"features":' + b"[" * 5000, "Expected"),
        (b"\xff", "not JSON"),
        (b"[1]", "Expected `object`"),
        (line(user_id=""), "user_id"),
        (line(user_id="x" * 257), "user_id"),
        (line(group="strangers"), "no feature group"),
        (line(event_time="soon"), "neither ISO 8601"),
        (line(event_time=-5), "neither ISO 8601"),
        (line(event_time=NOW + 301), "in the future"),
        (line(features={}), "features"),
        (line(features={"colour": "red"}), "no such feature"),
        (line(features={"views_7d": 1.5}), "views_7d must be Integral"),
        (line(features={"views_7d": "many"}), "views_7d must be Integral"),
        (line(features={"views_7d": ["1"]}), "not a list"),
        (line(features={"mean_rating": "nan"}), "mean_rating must be Fractional"),
        (line(features={"top_genres_30d": {"a": 1}}), "Expected"),
        (line(colour="red"), "unknown field `colour`"),
    ],
)
def test_a_bad_row_is_refused_with_its_reason(row: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        parse_row(row, GROUPS, NOW)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "花" not in str(refused.value)
