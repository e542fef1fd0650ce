"""Answers made of a catalogue: what is in them, in which order, and that they say no more."""

from dataclasses import replace
from datetime import date

import pytest

from config import texts
from domain.answers import Answer, AnswerKey
from domain.catalogue import Catalogue
from domain.rendering import RENDERED_KINDS, Material, render, title_answer
from tests.samples import title

POPULAR = [
    title(str(at), popularity=100 - at, genres=("Action",), demographic=("Shounen",))
    for at in range(1, 13)
]


def material(catalogue: Catalogue, **others: object) -> Material:
    made = Material(
        catalogue=catalogue,
        scores={},
        today=date(2026, 6, 15),
        phrases=texts.declared(),
        locales=("ja", "en"),
        top_n=10,
        trend_days=7,
    )
    return replace(made, **others)  # type: ignore[arg-type]


def ids(answer: Answer) -> list[object]:
    return [item["id"] for item in answer.items]


def trending(**others: object) -> dict[str, Answer]:
    made = material(Catalogue(POPULAR), **others)
    return {key.locale: answer for key, answer in render("trending", made).items()}


def test_trending_is_in_order_of_score_and_ties_of_id() -> None:
    answer = trending(scores={"3": 1.0, "5": 2.5, "2": 1.0}, top_n=3)["en"]
    assert [(item["id"], item["score"]) for item in answer.items] == [
        ("5", 2.5),
        ("2", 1.0),
        ("3", 1.0),
    ]
    assert answer.text == (
        "Drawing the most attention over the last 7 days: 1. Title 5, 2. Title 2, 3. Title 3."
    )


def test_a_short_ranking_goes_on_with_popular_titles_without_score() -> None:
    answers = trending(scores={"5": 2.5}, top_n=3)
    assert [(item["id"], item["score"]) for item in answers["ja"].items] == [
        ("5", 2.5),
        ("1", 0.0),
        ("2", 0.0),
    ]
    assert answers["ja"].text == (
        "直近7日間に注目を集めている漫画です。1位『題5』。続けて、定番の人気作もご紹介します。"
    )


def test_every_kind_of_answer_names_genres_as_its_locale_does() -> None:
    made = material(Catalogue(POPULAR), scores={"5": 2.5})
    for kind in RENDERED_KINDS - {"new_releases"}:
        for key, answer in render(kind, made).items():
            shown = [item.get("genres_ja") for item in answer.items]
            assert shown == [["アクション"] if key.locale == "ja" else None] * len(shown), kind


def test_before_the_first_event_trending_says_so() -> None:
    answer = trending()["ja"]
    assert ids(answer) == [str(at) for at in range(1, 11)]
    assert answer.text.startswith("直近7日間の動きはまだ集計されていません。")


def test_unknown_adult_and_unweighted_titles_do_not_trend() -> None:
    catalogue = Catalogue([*POPULAR, title("x", adult=True)])
    made = material(catalogue, scores={"gone": 9.0, "x": 5.0, "2": 0.0, "3": 1.0}, top_n=2)
    assert [ids(answer) for answer in render("trending", made).values()] == [["3", "1"]] * 2


def test_new_releases_are_those_that_have_begun() -> None:
    catalogue = Catalogue(
        [
            title("past", published_from="2025-12-31"),
            title("today", published_from="2026-06-15"),
            title("tomorrow", published_from="2026-06-16"),
            title("month", published_from="2026-05"),
        ]
    )
    answers = render("new_releases", material(catalogue))
    ja = answers[AnswerKey("new_releases", "", "ja")]
    assert ids(ja) == ["today", "month", "past"]
    assert ja.text == (
        "2026年6月15日の時点で、カタログの中で最も新しく始まった作品です。"
        "『題today』（2026年6月15日）、『題month』（2026年5月）、『題past』（2025年12月31日）。"
    )


def test_every_genre_and_demographic_with_five_titles_has_a_page() -> None:
    few = [title(f"f{at}", genres=("Music",)) for at in range(4)]
    answers = render("genre", material(Catalogue([*POPULAR, *few])))
    assert {(key.slug, key.locale) for key in answers} == {
        ("action", "ja"),
        ("action", "en"),
        ("shonen", "ja"),
        ("shonen", "en"),
    }
    answer = answers[AnswerKey("genre", "shonen", "en")]
    assert ids(answer) == [str(at) for at in range(1, 11)]
    assert answer.text == (
        "Popular in Shonen (12 titles in the catalogue): Title 1, Title 2, Title 3 and 7 more."
    )


def test_titles_are_not_called_popular_where_nobody_has_counted() -> None:
    catalogue = Catalogue([title(str(at), genres=("Action",)) for at in range(5)])
    for kind in ("genre", "fallback", "trending"):
        for answer in render(kind, material(catalogue)).values():
            assert "opular" not in answer.text
            assert "人気" not in answer.text


def test_the_titles_that_trend_come_before_the_popular_ones() -> None:
    made = material(Catalogue(POPULAR), scores={"9": 1.0, "gone": 3.0}, top_n=3)
    assert {key.slug for key in render("title", made)} == {"9", "1", "2"}


def test_the_fallback_says_that_it_is_no_answer() -> None:
    answers = render("fallback", material(Catalogue(POPULAR)))
    assert answers[AnswerKey("fallback", "", "en")].text.startswith("I cannot answer that yet")
    assert answers[AnswerKey("fallback", "", "ja")].text.startswith(
        "ご質問への回答はまだご用意できません"
    )


@pytest.mark.parametrize("kind", ["trending", "new_releases", "fallback"])
def test_an_empty_catalogue_has_answers_that_say_so(kind: str) -> None:
    answers = render(kind, material(Catalogue([])))
    assert {key.locale for key in answers} == {"ja", "en"}
    assert all(answer.text and not answer.items for answer in answers.values())


def test_a_title_is_told_with_everything_that_is_known() -> None:
    known = title(
        "1",
        title_romaji="Dai Ichi",
        authors=("Ann Author",),
        authors_ja=("作者",),
        genres=("Action", "Gourmet"),
        demographic=("Seinen",),
        published_from="1999-01",
        status="finished",
        volumes=7,
    )
    assert title_answer(texts.declared(), known, "ja").text == (
        "『題1』は作者による漫画作品です。英語またはローマ字での題名はTitle 1です。"
        "1999年1月に始まりました。全7巻で完結しています。"
        "ジャンル：青年漫画、アクション、グルメ。"
    )
    assert title_answer(texts.declared(), known, "en").text == (
        "Title 1 is a manga by Ann Author. Its Japanese title is 題1. "
        "First published: January 1999. It is complete in 7 volumes. "
        "Genres: Seinen, Action, Gourmet."
    )


def test_a_title_is_told_without_what_is_not_known() -> None:
    unknown = replace(title("1"), title_ja=None)
    assert title_answer(texts.declared(), unknown, "en").text == "Title 1 is a manga."
    assert title_answer(texts.declared(), unknown, "ja").text == "『Title 1』は漫画作品です。"


def test_a_kind_without_stored_answers_cannot_be_rendered() -> None:
    with pytest.raises(KeyError):
        render("chat", material(Catalogue([])))
