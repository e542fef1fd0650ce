"""What a question rules out, and what is no such thing."""

import pytest

from config.search import genre_words
from domain.narrowing import Narrowing
from domain.search import Wanted

NARROW = Narrowing(genre_words).of


@pytest.mark.parametrize(
    "question",
    [
        "Who drew Monster?",
        "20世紀少年",
        "something without magic",
        "No Game No Life",
        "not bad",
        "2001夜物語",
    ],
)
def test_a_question_that_rules_nothing_out_is_searched_for_as_it_is(question: str) -> None:
    assert NARROW(question, 5) == Wanted(text=question, limit=5)


@pytest.mark.parametrize(
    ("question", "excluded", "genres"),
    [
        ("horror but not shonen", {"shonen"}, {"horror"}),
        ("no food or horror please", {"gourmet", "horror"}, set()),
        ("ＳＦ以外", {"sci-fi"}, set()),
        ("BLじゃない漫画", {"boys-love"}, set()),
        ("不良が嫌い", {"delinquents"}, set()),
        ("少年漫画以外のアクション", {"shonen"}, {"action"}),
    ],
)
def test_genres_that_are_ruled_out(question: str, excluded: set[str], genres: set[str]) -> None:
    wanted = NARROW(question, 5)
    assert (set(wanted.excluded), set(wanted.genres)) == (excluded, genres)


@pytest.mark.parametrize(
    ("question", "since", "until"),
    [
        ("since 2010", 2010, None),
        ("after 2010", 2011, None),
        ("before 1990", None, 1989),
        ("the 1990s", 1990, 1999),
        ("in 1984", 1984, 1984),
        ("2010年以降", 2010, None),
        ("２０１０年まで", None, 2010),
        ("1980年代", 1980, 1989),
        ("after 1999 and before 2005", 2000, 2004),
    ],
)
def test_years_that_are_wanted(question: str, since: int | None, until: int | None) -> None:
    wanted = NARROW(question, 5)
    assert (wanted.since, wanted.until) == (since, until)


def test_a_title_without_a_date_is_in_no_wanted_year() -> None:
    wanted = Wanted(text="", since=1990)
    assert [wanted.is_in_years(date) for date in (None, "1989-12", "1990")] == [False, False, True]
    assert Wanted(text="").is_in_years(None)
