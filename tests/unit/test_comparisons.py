"""Which title a question compares with, and how much of it others share."""

from collections.abc import Callable

import pytest

from config.search import declared
from domain.catalogue import Catalogue, Title
from domain.comparisons import Comparisons, comparison
from domain.questions import fold, squash
from serving.model_path import narrowing

NAMES = {
    "naruto": "naruto",
    "ナルト": "naruto",
    "the promised neverland": "neverland",
    "ちはやふる": "chihayafuru",
    "進撃の巨人": "titan",
    "no game no life": "game",
    "20th century boys": "boys",
    "gone": "gone",
}
CATALOGUE = Catalogue(
    [
        Title("naruto", "Naruto", genres=("Action", "Martial Arts"), demographic=("Shonen",)),
        *(Title(title_id, title_id, genres=("Action",)) for title_id in ("neverland", "titan")),
        *(Title(title_id, title_id, demographic=("Shonen",)) for title_id in ("game", "boys")),
        Title("chihayafuru", "Chihayafuru"),
    ]
)


def title_named(text: str) -> str | None:
    names = {squash(fold(name)): title_id for name, title_id in NAMES.items()}
    return names.get(squash(fold(text)))


def catalogue_of(catalogue: Catalogue | None) -> Callable[[], Catalogue | None]:
    return lambda: catalogue


COMPARISONS = Comparisons(title_named, catalogue_of(CATALOGUE))
NARROW = narrowing(declared(), COMPARISONS).of


@pytest.mark.parametrize(
    ("question", "title_id"),
    [
        ("manga like Naruto", "naruto"),
        ('Anything like "The Promised Neverland"?', "neverland"),
        ("something similar to Naruto but longer", "naruto"),
        ("what should I read if I loved Naruto?", "naruto"),
        ("for fans of naruto", "naruto"),
        ("ナルトみたいな漫画", "naruto"),
        ("「ナルト」のような作品を教えて", "naruto"),
        ("最近読んだちはやふるに似た漫画", "chihayafuru"),
        ("進撃の巨人っぽいやつ", "titan"),
        ("ナルトが好きな人におすすめ", "naruto"),
    ],
)
def test_the_title_that_others_are_to_be_like(question: str, title_id: str) -> None:
    found = COMPARISONS.of(question)
    assert found is not None
    assert found[0].title_id == title_id


@pytest.mark.parametrize(
    "question",
    [
        "I like Naruto",
        "I'd like Naruto please",
        "do you like Naruto?",
        "what is Naruto like?",
        "manga like this one",
        "something like magic",
        "夢みたいな漫画",
        "ナルトの最新刊",
        "風の谷",
        "manga like Gone",
        "manga like",
        "みたいな",
        "",
    ],
)
def test_what_compares_with_no_title(question: str) -> None:
    assert COMPARISONS.of(question) is None


def test_nothing_is_compared_with_before_there_is_a_catalogue() -> None:
    assert Comparisons(title_named, catalogue_of(None)).of("manga like Naruto") is None


def test_a_rare_genre_counts_for_more_than_one_that_many_have() -> None:
    weights = dict(comparison("naruto", CATALOGUE).weights)
    assert weights["martial-arts"] > weights["action"] == weights["shonen"] > 0
    assert all(weight * 8 == int(weight * 8) for weight in weights.values())
    assert comparison("chihayafuru", CATALOGUE).weights == ()


@pytest.mark.parametrize(
    ("question", "title_id", "excluded", "genres", "since"),
    [
        ("manga like No Game No Life but no horror", "game", {"horror"}, set(), None),
        ("romance like Naruto since 2010", "naruto", set(), {"romance"}, 2010),
        ("something like 20th Century Boys", "boys", set(), set(), None),
        ("ナルトみたいな恋愛漫画、ホラー以外で", "naruto", {"horror"}, {"romance"}, None),
    ],
)
def test_a_name_rules_nothing_out_but_what_stands_beside_it_does(
    question: str, title_id: str, excluded: set[str], genres: set[str], since: int | None
) -> None:
    wanted = NARROW(question, 5)
    assert wanted.like is not None
    assert wanted.like.title_id == title_id
    found = (set(wanted.excluded), set(wanted.genres), wanted.since)
    assert found == (excluded, genres, since)


@pytest.mark.parametrize("question", ["like " * 800, "みたいな" * 1000, "あ" * 3990 + "みたいな"])
def test_a_hostile_question_costs_few_look_ups(question: str) -> None:
    asked: list[str] = []

    def counting(text: str) -> str | None:
        asked.append(text)
        return None

    assert Comparisons(counting, catalogue_of(CATALOGUE)).of(question) is None
    assert len(asked) <= 80
