"""answers.toml: what is shipped, and one line for whatever is wrong."""

from pathlib import Path

import pytest

from config import answers
from config.errors import ConfigError
from config.wordings import expand

SHIPPED = Path(answers.__file__).with_name("answers.toml").read_text(encoding="utf-8")


def test_the_times_to_live_are_those_agreed() -> None:
    rows = answers.declared().kinds.rows()
    agreed = {"trending": 900, "new_releases": 3600, "genre": 1800, "title": 300}
    agreed |= {"response": 3600, "session": 300}
    assert {kind: rows[kind].ttl_seconds for kind in agreed} == agreed
    assert all(row.refresh_seconds < row.ttl_seconds for row in rows.values())
    assert rows["trending"].hard_ttl_seconds >= 10 * 900


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("ttl_seconds = 900", "ttl_seconds = 0", "kinds.trending.ttl_seconds"),
        ("ttl_seconds = 900", "ttl_seconds = -5", "kinds.trending.ttl_seconds"),
        ("ttl_seconds = 900", 'ttl_seconds = "15m"', "kinds.trending.ttl_seconds"),
        ("ttl_seconds = 900", "ttl = 900", "ttl"),
        ("hard_ttl_periods = 96", "hard_ttl_periods = 9", "hard_ttl_periods"),
        ("refresh_ahead = 0.8", "refresh_ahead = 1.0", "refresh_ahead"),
        ("refresh_ahead = 0.8", "refresh_ahead = 0.95", "kinds.trending.jitter_seconds"),
        ('locales = ["ja", "en"]', 'locales = ["ja", "fr"]', "kinds.trending.locales"),
        ('locales = ["ja", "en"]', "locales = []", "kinds.trending.locales"),
        ('locales = ["ja", "en"]', 'locales = ["ja", "ja"]', "kinds.trending.locales"),
        ('source = "interactions"', 'source = "gossip"', "kinds.trending.source"),
        ("half_life_hours = 24", "half_life_hours = 0", "trending.half_life_hours"),
        ("half_life_hours = 24", "half_life_hours = 500", "trending.half_life_hours"),
        ("bucket_minutes = 60", "bucket_minutes = 1440000", "trending.bucket_minutes"),
        ("purchase = 5", "purchase = -5", "trending.weights.purchase"),
        ("[kinds.genre]", "[kinds.genres]", "genre"),
        ('kind = "genre"', 'kind = "gender"', "patterns.rules"),
        ('needs = ["trend"]', 'needs = ["trendy"]', "no class is called 'trendy'"),
        ('"trending", "trend"', '"(trending", "trend"', "patterns.classes.trend"),
        ("[trending]", "[trending", "not TOML"),
    ],
)
def test_a_wrong_value_is_named_in_one_line(tmp_path: Path, old: str, new: str, named: str) -> None:
    assert old in SHIPPED
    (tmp_path / "answers.toml").write_text(SHIPPED.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        answers.load(tmp_path)
    assert str(error.value).startswith("answers.toml: ")
    assert named in str(error.value)
    assert "\n" not in str(error.value)


def test_a_phrase_stands_for_each_of_its_wordings() -> None:
    assert expand("(show|tell) me (the|)") == (
        "show me the",
        "show me",
        "tell me the",
        "tell me",
    )
    assert expand("a((b|c)d|)") == ("abd", "acd", "a")


@pytest.mark.parametrize("wrong", ["(a", "a)", "a|b", ")(", "(a|b)" * 40])
def test_a_phrase_that_makes_no_sense_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"brackets|wordings"):
        expand(wrong)
