"""What the classifier understands, over labelled questions and the bundled sample."""

import json
from collections import Counter
from dataclasses import dataclass
from functools import cache

import pytest

from adapters.jsonl_catalogue import read_catalogue
from config import answers
from domain.questions import Question, QuestionKind
from serving.questions import MAX_CHARS, QuestionClassifier
from tests.shared_data import REPOSITORY, shared, texts

SAMPLE = REPOSITORY / "config" / "sample_catalogue.jsonl"
KINDS = ("trending", "new_releases", "genre", "title", "recommendation")


@dataclass(frozen=True)
class Labelled:
    """A question and what it should be understood as."""

    question: str
    locale: str
    kind: str
    slug: str


@cache
def of_sample() -> QuestionClassifier:
    return QuestionClassifier(read_catalogue(SAMPLE).catalogue, answers.declared().patterns)


@cache
def of_large() -> QuestionClassifier:
    catalogue = read_catalogue(shared("manga_catalogue.jsonl.gz")).catalogue
    return QuestionClassifier(catalogue, answers.declared().patterns)


@cache
def labelled(name: str) -> tuple[Labelled, ...]:
    lines = (REPOSITORY / "tests" / "data" / name).read_text(encoding="utf-8").splitlines()
    return tuple(Labelled(**json.loads(line)) for line in lines)


def understood(question: str) -> tuple[str, str]:
    found = of_sample().classify(question)
    return found.kind.value, found.slug


@pytest.mark.parametrize("name", ["questions.jsonl", "questions_heldout.jsonl"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_precise_and_seldom_missed(name: str, kind: str) -> None:
    right: list[str] = []
    wrong: list[str] = []
    missed: list[str] = []
    for row in labelled(name):
        found = understood(row.question)
        if found[0] == kind:
            (right if found == (row.kind, row.slug) else wrong).append(row.question)
        elif row.kind == kind:
            missed.append(row.question)
    assert len(right) / (len(right) + len(wrong)) >= 0.98, wrong
    assert len(right) / (len(right) + len(missed)) >= 0.95, missed


def test_the_labelled_sets_hold_every_kind_in_both_languages() -> None:
    rows = labelled("questions.jsonl")
    counts = Counter((row.kind, row.locale) for row in rows)
    assert len(rows) >= 450
    assert all(counts[kind, locale] >= 20 for kind in KINDS for locale in ("ja", "en"))
    assert not {r.question for r in rows} & {
        r.question for r in labelled("questions_heldout.jsonl")
    }


@pytest.mark.parametrize("name", ["questions.jsonl", "questions_heldout.jsonl"])
def test_the_language_of_a_question_is_detected(name: str) -> None:
    wrong = [
        row.question
        for row in labelled(name)
        if of_sample().classify(row.question).locale != row.locale
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("question", "kind", "slug"),
    [
        ("One Piece latest", "title", "one-piece"),
        ("ワンピース 最新刊", "title", "one-piece"),
        ("ﾜﾝﾋﾟｰｽ", "title", "one-piece"),
        ("what's popular this week", "trending", ""),
        ("今週の人気", "trending", ""),
        ("show me shonen", "genre", "shonen"),
        ("少年漫画おすすめ", "genre", "shonen"),
        ("new releases", "new_releases", ""),
        ("新刊", "new_releases", ""),
        ("おすすめは?", "recommendation", ""),
        ("recommend something", "recommendation", ""),
        ("one piece of cake", "chat", ""),
        ("trending shoes", "chat", ""),
        ("新刊の返品", "chat", ""),
        ("naruto ramen shop near me", "chat", ""),
    ],
)
def test_the_examples_of_the_specification(question: str, kind: str, slug: str) -> None:
    assert understood(question) == (kind, slug)


@pytest.mark.parametrize("question", ["new shonen", "人気の新刊", "romance horror"])
def test_what_no_stored_list_answers_is_chat(question: str) -> None:
    assert understood(question) == ("chat", "")


@pytest.mark.parametrize("typed", ["atack on titan", "attack on tittan", "attakc on titan"])
def test_a_typo_in_a_long_title_is_forgiven(typed: str) -> None:
    assert understood(typed) == ("title", "attack-on-titan")


@pytest.mark.parametrize("typed", ["bleech", "narutp", "akiro", "銀玉"])
def test_a_typo_in_a_short_title_is_not_guessed_at(typed: str) -> None:
    assert understood(typed)[0] == "chat"


@pytest.mark.parametrize(
    "question",
    [
        "スラムダンクみたいな漫画ある？",
        "ドラゴンボール風の漫画",
        "鬼滅の刃系の漫画",
        "manga like Slam Dunk",
    ],
)
def test_a_wish_for_what_is_like_a_title_is_no_look_up_of_it(question: str) -> None:
    assert understood(question) == ("chat", "")


@pytest.mark.parametrize("name", ["March Comes in Like a Lion", "3月のライオン"])
def test_a_title_that_compares_itself_is_looked_up(name: str) -> None:
    assert understood(name) == ("title", "march-comes-in-like-a-lion")


def test_a_name_of_ordinary_words_needs_a_sign_that_it_is_a_title() -> None:
    assert understood("show me given") == ("chat", "")
    assert understood("Given manga") == ("title", "given")
    assert understood("「Given」ありますか") == ("title", "given")


def test_a_title_is_answered_in_the_language_around_it() -> None:
    assert of_sample().classify("do you have 進撃の巨人?").locale == "en"
    assert of_sample().classify("ONE PIECEの最新刊").locale == "ja"
    assert of_sample().classify("ONE PIECE", "ja").locale == "ja"


@pytest.mark.parametrize(
    "message",
    [
        "",
        " \n",
        "?!",
        "\u0000",
        "の" * 4000,
        "a" * 4000,
        "新刊 " * 1300,
        "\ud800",
        "🍣" * 400,
        "(" * 90,
    ],
)
def test_a_message_without_sense_is_chat(message: str) -> None:
    assert of_sample().classify(message).kind is QuestionKind.CHAT


def test_a_question_longer_than_any_look_up_is_not_read() -> None:
    padded = "new releases" + " please" * 20
    assert len(padded) > MAX_CHARS
    assert of_sample().classify(padded) == Question(QuestionKind.CHAT, "", "en")


def test_white_space_around_a_question_says_nothing() -> None:
    assert understood(" \t" * 300 + "new releases" + "\n" * 300) == ("new_releases", "")


@pytest.mark.parametrize("name", ["queries_en.jsonl.gz", "queries_ja.jsonl.gz"])
def test_questions_of_other_trades_are_chat(name: str) -> None:
    taken = total = 0
    for text in texts(name):
        total += 1
        taken += of_large().classify(text).kind is not QuestionKind.CHAT
    assert taken <= total * 0.002


@pytest.mark.parametrize("typed", ["ワンピース 最新刊", "ﾜﾝﾋﾟｰｽ", "One Piece latest", "ワンピ"])
def test_readings_that_a_feed_lacks_come_from_the_well_known_names(typed: str) -> None:
    found, wanted = of_large().classify(typed), of_large().classify("One Piece")
    assert (found.kind, found.slug) == (wanted.kind, wanted.slug)
    assert found.kind is QuestionKind.TITLE


def test_the_titles_of_a_large_catalogue_are_found_by_name() -> None:
    catalogue = read_catalogue(shared("manga_catalogue.jsonl.gz")).catalogue
    names = [name for title in catalogue.by_popularity for name in title.names()]
    found = sum(of_large().classify(name).kind is QuestionKind.TITLE for name in names)
    assert found >= len(names) * 0.95
