"""What a question rules out, and what is no such thing."""

import pytest

from config.search import declared
from domain.genres import GENRE_NAMES
from domain.search import Wanted
from serving.model_path import narrowing

NARROW = narrowing(declared(), None).of


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


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("something SAD with samurai", " Drama"),
        ("怖い学校の漫画", " Horror"),
        ("cute cats in a sad, tragic world", " Cute Girls Drama"),
        ("Sadie's crusade", ""),
    ],
)
def test_a_mood_beside_other_words_is_looked_for_by_the_names_of_its_genres(
    question: str, names: str
) -> None:
    assert NARROW(question, 5) == Wanted(text=question + names, limit=5)


@pytest.mark.parametrize(
    ("question", "genres"),
    [
        ("泣ける漫画を教えて", {"drama"}),
        ("怖い漫画が読みたい", {"horror"}),
        ("笑える漫画ない？", {"comedy"}),
        ("something really sad please", {"drama"}),
        ("funny or cute ones", {"comedy", "cute-girls"}),
    ],
)
def test_a_question_of_moods_alone_is_for_their_genres(question: str, genres: set[str]) -> None:
    assert NARROW(question, 5) == Wanted(text="", genres=frozenset(genres), limit=5)


def test_a_mood_narrows_as_its_genre_does() -> None:
    wanted = NARROW("sad, not scary, since 2010", 5)
    assert (set(wanted.genres), set(wanted.excluded), wanted.since) == ({"drama"}, {"horror"}, 2010)


def test_every_mood_stands_for_a_genre_of_the_vocabulary() -> None:
    assert declared().moods.keys() <= GENRE_NAMES.keys()
