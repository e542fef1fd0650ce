"""Folding and the detection of language."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.questions import detect_locale, fold, loosen, squash


@pytest.mark.parametrize(
    ("typed", "plain"),
    [
        ("ﾜﾝﾋﾟｰｽ", "ワンピース"),
        ("ＯＮＥ　ＰＩＥＣＥ", "One Piece"),
        ("one-piece!!", "ONE PIECE"),
        ("わんぴーす", "ワンピース"),
        ("ワンピス", "ワンピース"),
        ("Pokémon", "pokemon"),
        ("ヴァンパイア", "バンパイア"),
        ("what’s", "what's"),
        ("進撃 の 巨人", "進撃の巨人"),
        ("Love & Peace", "love and peace"),
        ("新刊🍣", "新刊"),
    ],
)
def test_spellings_of_one_thing_fold_alike(typed: str, plain: str) -> None:
    assert fold(typed) == fold(plain)


def test_latin_words_keep_their_borders() -> None:
    assert fold("ONE PIECEの最新刊") == "one piece の最新刊"
    assert squash(fold("One Piece")) == "onepiece"


def test_long_vowels_of_romaji_do_not_matter() -> None:
    assert loosen("shounen") == loosen("shoonen") == loosen("shonen")


@given(st.text(max_size=80))
def test_folding_what_is_folded_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize(
    ("text", "locale"),
    [("hello", "en"), ("", "en"), ("ﾎﾗｰ", "ja"), ("ONE PIECE 最新刊", "ja"), ("café 🍣", "en")],
)
def test_kana_and_kanji_make_a_question_japanese(text: str, locale: str) -> None:
    assert detect_locale(text) == locale
