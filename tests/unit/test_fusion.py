"""Rankings of two kinds become one."""

from domain.search import fused

WORDS = ["named", *(f"other-{at}" for at in range(9))]


def test_what_stands_high_in_both_comes_first() -> None:
    assert [name for name, _ in fused([["a", "b", "c"], ["b", "d"]], 3)] == ["b", "a", "d"]


def test_ranks_count_and_ties_are_by_name() -> None:
    ((first, high), (second, low)) = fused([["b"], ["a"]], 2)
    assert (first, second) == ("a", "b")
    assert high == low == 1 / 61


def test_the_first_of_a_ranking_is_kept_though_many_are_a_little_of_both() -> None:
    likeness = [f"other-{at}" for at in reversed(range(9))]
    found = [name for name, _ in fused([WORDS, likeness], 5)]
    assert len(found) == 5
    assert found[-1] == "named"
    assert "other-8" in found, "the first of the other one"


def test_no_more_than_asked_for_are_given() -> None:
    assert len(fused([["a"], ["b"]], 1)) == 1
    assert fused([], 3) == fused([[], []], 3) == []
