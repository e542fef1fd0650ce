"""What two similar questions must have in common, and how sure a false-hit rate is."""

import gzip
import json
import zlib
from collections import Counter
from pathlib import Path

import pytest

from adapters.ngram_embeddings import NgramEmbeddings
from config import response_cache, reviewed_questions
from config.errors import ConfigError
from domain.similarity import Compared, Sense, likeness, overlap
from serving.similar_questions import rules_of
from tests.shared_data import shared

TABLE = response_cache.declared().similarity
RULES = rules_of(TABLE)
EMBEDDINGS = NgramEmbeddings(TABLE.threshold, TABLE.dimensions)


def is_same(one: str, other: str) -> bool:
    return Sense.of(one, RULES) == Sense.of(other, RULES)


def matches(one: str, other: str) -> bool:
    alike = likeness(*EMBEDDINGS.vectors([one, other]))
    sense = Sense.of(one, RULES)
    return alike >= TABLE.threshold and sense.says_enough and is_same(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What are the best manga about cooking?", "Which is the best manga about cooking"),
        ("What is a good manga for beginners?", "What are some good mangas for beginners"),
        ("料理の漫画を読む順番は何ですか", "料理漫画を読む順番は何ですか？"),
    ],
)
def test_questions_that_differ_in_free_words_alone_match(one: str, other: str) -> None:
    assert matches(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("manga with vampires", "manga without vampires"),
        ("manga that is finished", "manga that is not finished"),
        ("Can I return a manga", "Can't I return a manga"),
        ("Is it ever violent", "Is it never violent"),
        ("manga like Naruto but longer", "manga like Bleach but longer"),
        ("10 manga for children", "100 manga for children"),
        ("manga for children under 12", "manga for children over 12"),
        ("manga adapted from an anime", "anime adapted from a manga"),
        ("Was the manga before the anime", "Was the anime before the manga"),
        ("the best manga about cooking", "the worst manga about cooking"),
        ("Can you sell me old manga", "Can I sell you old manga"),
        ("What IT manga is good", "What manga is good"),
        ("manga about C++ programming", "manga about C programming"),
        ("完結した漫画のおすすめ", "完結していない漫画のおすすめ"),
        ("泣ける漫画", "泣けない漫画"),
        ("少年漫画と青年漫画の違い", "少年漫画と少女漫画の違い"),
        ("小説から漫画になった作品", "漫画から小説になった作品"),
        ("3巻までの漫画", "4巻までの漫画"),
        ("犬が猫を追う漫画", "犬を猫が追う漫画"),
        ("兄に弟が勝つ漫画", "兄が弟に勝つ漫画"),
        ("猫だけの漫画", "猫の漫画"),
        ("猫も出る漫画", "猫の出る漫画"),
    ],
)
def test_polarity_numbers_names_and_order_keep_questions_apart(one: str, other: str) -> None:
    assert not is_same(one, other)


def test_questions_that_say_next_to_nothing_match_nothing() -> None:
    assert not Sense.of("what is it?", RULES).says_enough
    assert not Sense.of("は？", RULES).says_enough


def test_people_who_judged_pairs_agree_nearly_always() -> None:
    """A half of the pairs that the threshold was not chosen on; PAWS' hard negatives alone too."""
    looked, hits = Counter[tuple[str, int]](), Counter[tuple[str, int]]()
    with gzip.open(shared("paraphrase_pairs.jsonl.gz"), "rt", encoding="utf-8") as lines:
        for pair in map(json.loads, lines):
            one, other, judged = pair["a"], pair["b"], pair["is_duplicate"]
            spaceless = "".join(one.split()) == "".join(other.split())
            if judged is None or zlib.crc32(one.encode()) & 1 or (spaceless and not judged):
                continue
            hit = is_same(one, other) and matches(one, other)
            for source in (pair["source"], "all"):
                looked[source, judged] += 1
                hits[source, judged] += hit
    assert looked["all", 0] > 20_000
    assert hits["all", 0] / looked["all", 0] <= 0.01
    assert hits["pawsx", 0] / looked["pawsx", 0] <= 0.01
    assert hits["all", 1] / looked["all", 1] >= 0.05


@pytest.mark.parametrize(
    ("number", "wrong", "lower", "upper"),
    [(10, 0, 0.0, 0.2775), (100, 1, 0.0018, 0.0545), (1000, 20, 0.0130, 0.0307), (1, 1, 0.2065, 1)],
)
def test_the_interval_is_wilsons(number: int, wrong: int, lower: float, upper: float) -> None:
    found = Compared(number, wrong).interval()
    assert found == pytest.approx((lower, upper), abs=1e-4)


def test_a_rate_is_too_high_only_when_that_is_sure() -> None:
    assert not Compared().is_too_wrong(0.01)
    assert Compared().interval() == (0.0, 1.0)
    assert not Compared(1000, 0).is_too_wrong(0.01)
    assert not Compared(100, 1).is_too_wrong(0.01)
    assert Compared(100, 5).is_too_wrong(0.01)
    assert Compared(1, 1).is_too_wrong(0.01)


def test_overlap_is_what_two_have_in_common() -> None:
    assert overlap(["a", "b"], ["b", "c"]) == pytest.approx(1 / 3)
    assert overlap([], []) == 1.0
    assert overlap([], ["a"]) == 0.0


def test_vectors_have_length_one_and_survive_any_text() -> None:
    for text in ("one piece", "ワンピース", "one \ud800piece", "a" * 5000):
        (vector,) = EMBEDDINGS.vectors([text])
        assert likeness(vector, vector) == pytest.approx(1.0)
    assert likeness(*EMBEDDINGS.vectors(["abc", "xyz"])) < 0.5
    assert EMBEDDINGS.vectors([""]).shape == (1, TABLE.dimensions)


def test_the_switch_is_off_as_shipped() -> None:
    assert not TABLE.enabled


def test_no_two_reviewed_questions_match_each_other_or_ask_about_the_asker() -> None:
    listed = [question for _, question in reviewed_questions.declared().by_locale()]
    own = response_cache.declared().own_words_pattern
    for at, one in enumerate(listed):
        assert Sense.of(one, RULES).says_enough
        assert own.search(one.casefold()) is None
        assert not any(is_same(one, other) for other in listed[at + 1 :])


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('"a", "an", "the"', '"a", "not", "the"', "'not' carries meaning"),
        ('"a", "an", "the"', '"a", "2", "the"', "'2' carries meaning"),
        ('"は", "の"', '"は", "ではない"', "'ではない' carries meaning"),
        ('"は", "の"', '"は", "を"', "'を' carries meaning"),
        ("dimensions = 512", "dimensions = 64", "dimensions"),
        ("poll_min_ms = 10", "poll_min_ms = 101", "poll_min_ms"),
        ("failing_seconds = 2", "failing_seconds = 13", "failing_seconds"),
        ('"i\'m"', '"I\'m"', "own_words.en"),
        ("enabled = false", 'enabled = "no"', "enabled"),
    ],
)
def test_a_wrong_table_is_named_in_one_line(tmp_path: Path, old: str, new: str, named: str) -> None:
    shipped = Path(response_cache.__file__).with_suffix(".toml").read_text(encoding="utf-8")
    assert old in shipped
    (tmp_path / "response_cache.toml").write_text(shipped.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        response_cache.load(tmp_path)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_reviewed_question_stands_once(tmp_path: Path) -> None:
    (tmp_path / "reviewed_questions.toml").write_text('ja = ["a"]\nen = ["a"]\n')
    with pytest.raises(ConfigError, match="twice"):
        reviewed_questions.load(tmp_path)
