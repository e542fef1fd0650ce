"""How pairs become scores and claims; what is measured is measured by the benchmark itself."""

import gzip
import json
from pathlib import Path

from bench.environments import python_with
from bench.paraphrases import Pair, Score, counted, judged, same_wording, similar, summarise
from bench.stampede import MANGAASSIST, Run
from bench.stampede import summarise as summarise_stampede
from tests.unit.bench.measured import MACHINE

PAIRS = [
    Pair("What is new?", "what is new", True, "one"),
    Pair("What is new?", "What is old?", False, "one"),
    Pair("Which manga are good for children?", "What manga is good for children", True, "two"),
    Pair("manga with cats", "manga without cats", False, "pawsx"),
]


def scores(name: str, hits: list[bool]) -> list[Score]:
    return counted(name, PAIRS, hits)


def test_ours_are_judged_by_what_the_product_does() -> None:
    hit = similar()
    assert [same_wording(pair.a, pair.b) for pair in PAIRS] == [True, False, False, False]
    assert [hit(pair.a, pair.b) for pair in PAIRS] == [True, False, True, False]


def test_scores_are_counted_over_all_and_by_source() -> None:
    everything, one, two, hard = scores("x", [True, True, False, False])
    assert (everything.false_hits, everything.different) == (1, 2)
    assert (everything.hits, everything.same) == (1, 2)
    assert (one.source, one.false_hit_rate, one.hit_rate) == ("one", 1.0, 1.0)
    assert (two.source, two.false_hit_rate) == ("two", 0.0)
    assert hard.cells()[-2:] == ["0 of 0", "0.00%"]


def test_a_false_hit_breaks_the_claim() -> None:
    good = [True, False, True, False]
    for exact, similar_hits, kept in (
        (good, good, True),
        ([True, True, True, False], good, False),
        (good, [True, False, True, True], False),
    ):
        found = [*scores("exact wording", exact), *scores("similarity switch", similar_hits)]
        assert summarise(found, [], 0, MACHINE).kept is kept


def test_pairs_that_differ_in_white_space_alone_are_left_out(tmp_path: Path) -> None:
    rows = [
        {"a": "a b ?", "b": "a b?", "is_duplicate": 0, "source": "s"},
        {"a": "a b ?", "b": "a b?", "is_duplicate": 1, "source": "s"},
        {"a": "a", "b": "b", "is_duplicate": None, "source": "s"},
        {"a": "a", "b": "b", "is_duplicate": 0, "source": "s"},
    ]
    path = tmp_path / "pairs.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    kept, mislabelled = judged(path)
    assert kept == [Pair("a b ?", "a b?", True, "s"), Pair("a", "b", False, "s")]
    assert mislabelled == 1


def test_a_second_call_of_the_model_or_a_client_without_answer_breaks_the_claim() -> None:
    for calls, answered, kept in ((1, 500, True), (2, 500, False), (1, 499, False)):
        runs = [Run(MANGAASSIST, calls, answered, 1.0), Run("another", 50, 500, 1.0)]
        assert summarise_stampede(runs, MACHINE).kept is kept


def test_an_environment_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    made = tmp_path / "none-e3b0c44298fc"
    made.mkdir()
    (made / ".installed").touch()
    assert python_with("none", [], tmp_path) == made / "bin" / "python"
    assert not (made / "bin").exists()
