"""What a response is kept under, for whom, how long, and when it is made anew."""

import gzip
import json
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import response_cache
from domain.questions import fold
from domain.response_cache import PUBLIC, Asked, Scope, normalised, scope_of
from tests.fakes import NOW
from tests.samples import LIFETIMES, asked, response
from tests.shared_data import shared

OWN_WORDS = response_cache.declared().own_words_pattern


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ｗｈａｔ　ｉｓ　ｎｅｗ？", "what is new"),
        ("What is new", "  what  is\tnew ? "),
        ("it’s “new”", 'It\'s "new"'),
        ("ｶﾞﾝﾀﾞﾑの漫画。", "ガンダムの漫画"),
        ("cafe\u0301 manga", "CAFÉ manga"),
        ("new\u200b manga\u202e", "new manga"),
        ("〜風の漫画", "～風の漫画"),
    ],
)
def test_wordings_that_cannot_mean_two_things_are_one(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("manga about C++", "manga about C"),
        ("manga about C#", "manga about C++"),
        ("ビールの漫画", "ビルの漫画"),
        ("はし", "ハシ"),
        ("K-On!", "K-On!!"),
        ("K-On!", "K-On"),
        ("Gintama", "Gintama°"),
        ("x²", "x2"),
        ("第①巻", "第1巻"),
        ("vol 1.5", "vol 15"),
        ("-5", "5"),
        ("résumé", "resume"),
        ("not new", "new"),
        ("1", "l"),
        ("A / B", "A B"),
        ("?", "!"),
    ],
)
def test_wordings_that_may_mean_two_things_stay_two(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


@given(st.text(max_size=60))
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=60))
def test_no_question_becomes_empty_unless_it_says_nothing(text: str) -> None:
    if any(char.isalnum() for char in text):
        assert normalised(text)


def test_no_two_questions_with_different_meanings_share_a_key() -> None:
    """Pairs that people judged different; some of those differ in white space alone."""
    wrong, folded, looked = [], 0, 0
    with gzip.open(shared("paraphrase_pairs.jsonl.gz"), "rt", encoding="utf-8") as lines:
        for pair in map(json.loads, lines):
            one, other = pair["a"], pair["b"]
            if pair["is_duplicate"] != 0 or "".join(one.split()) == "".join(other.split()):
                continue
            looked += 1
            folded += fold(one) == fold(other)
            if normalised(one) == normalised(other):
                wrong.append((one, other))
    assert looked > 40_000
    assert not wrong
    assert folded > 5, "the form for patterns would not do"


def test_everything_that_an_answer_depends_on_is_in_its_key() -> None:
    base = asked()
    others = [
        asked("What is a bad manga about cooking?"),
        asked(scope=Scope("u-1")),
        asked(scope=Scope("u-2")),
        asked(scope=Scope("u-1"), context="turns"),
        asked(kind="recommendation"),
        asked(model="m-2"),
        asked(prompt_version="8"),
        asked(catalogue="c-2"),
        replace_locale(base),
    ]
    keys = Counter(one.key for one in [base, *others])
    assert max(keys.values()) == 1
    assert asked().key == base.key
    assert base.key.startswith("response:")
    assert len(base.key) == len("response:") + 64


def replace_locale(one: Asked) -> Asked:
    return Asked(
        scope=one.scope, locale="ja", kind=one.kind, question=one.question, model=one.model,
        prompt_version=one.prompt_version, catalogue=one.catalogue,
    )  # fmt: skip


def test_parts_of_a_key_do_not_run_into_each_other() -> None:
    assert asked(kind="a", model="bc").key != asked(kind="ab", model="c").key
    assert asked(kind="a\x1fb", model="c").key != asked(kind="a", model="b\x1fc").key


def test_no_user_can_name_themselves_into_another_ones_scope() -> None:
    owners = {Scope(user).owner for user in ("", "public", "user", "a", "b", "user:a")}
    assert len(owners) == 6


def test_what_was_made_from_personal_context_cannot_be_public() -> None:
    with pytest.raises(ValueError, match="not public"):
        asked(context="turns")


@pytest.mark.parametrize(
    "question",
    [
        "what should I read next",
        "where is my order?",
        "More of the same, again",
        "私の好きそうな漫画は？",
        "この前買った漫画の続き",
        "Ｍｙ favourites",
        "what've we got in our cart",
    ],
)
def test_who_asks_about_themselves_is_never_answered_from_the_public_cache(question: str) -> None:
    found = scope_of(question, is_public=True, user="u-1", own_words=OWN_WORDS)
    assert found == Scope("u-1")
    assert scope_of(question, is_public=True, user="", own_words=OWN_WORDS) is None


@pytest.mark.parametrize(
    "question", ["What is a mystery manga?", "料理漫画のおすすめは？", "IS IT FINISHED? (Iron Wok)"]
)
def test_a_question_is_public_only_where_that_is_declared(question: str) -> None:
    assert scope_of(question, is_public=True, user="u", own_words=OWN_WORDS) == PUBLIC
    assert scope_of(question, is_public=False, user="u", own_words=OWN_WORDS) == Scope("u")
    assert scope_of(question, is_public=False, user="", own_words=OWN_WORDS) is None


def test_a_time_to_live_is_spread_and_a_negative_answer_lives_shortly() -> None:
    plain, negative = response(), response(is_negative=True)
    assert plain.soft_expires_at == NOW + LIFETIMES.ttl
    assert plain.hard_expires_at == NOW + LIFETIMES.hard_ttl
    assert negative.soft_expires_at == negative.hard_expires_at == NOW + LIFETIMES.negative_ttl


def test_a_clock_that_went_back_does_not_make_an_old_version() -> None:
    first = response()
    assert response(now=NOW - 60, after=first.version).version == first.version + 1


def test_the_same_content_has_the_same_fingerprint_whenever_it_is_made() -> None:
    assert response(now=NOW + 9).fingerprint == response().fingerprint
    assert response("Try another").fingerprint != response().fingerprint
    assert response(items=[{"id": "1"}]).fingerprint != response().fingerprint


@given(st.text(st.characters(codec="utf-8"), max_size=80), st.lists(st.integers(1, 30), max_size=9))
def test_a_response_is_streamed_again_in_its_pieces(text: str, chunks: list[int]) -> None:
    made = response(text, chunks=chunks)
    pieces = list(made.pieces())
    assert "".join(pieces) == made.text() == text
    assert all(pieces)
    assert [len(piece) for piece in pieces[:-1]] == chunks[: max(0, len(pieces) - 1)]


def test_the_longer_a_computation_takes_the_earlier_it_begins_again() -> None:
    quick, slow = response(took=0.1), response(took=10)
    near = quick.soft_expires_at - 5
    assert not quick.is_due(near, beta=1.0, chance=0.5)
    assert slow.is_due(near, beta=1.0, chance=0.5)
    assert not slow.is_due(near, beta=1.0, chance=1.0)
    assert quick.is_due(quick.soft_expires_at, beta=1.0, chance=1.0)
    assert not quick.is_stale(near)
    assert quick.is_stale(quick.soft_expires_at)


def test_about_one_reader_in_a_period_makes_a_response_anew() -> None:
    """1,000 readers a second in the last 10 s before the expiry, a computation of 0.5 s."""
    made = replace(response(), compute_seconds=0.5)
    chances = [(n * 0.618_033_988_749) % 1 or 1.0 for n in range(1, 10_001)]
    due = [
        n
        for n, chance in enumerate(chances)
        if made.is_due(made.soft_expires_at - 10 + n / 1000, 1.0, chance)
    ]
    assert due
    assert due[0] > 3000, "the first volunteers within the last seconds"
