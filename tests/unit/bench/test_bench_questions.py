"""How the classifier's own table becomes a result."""

import pytest

from bench import questions
from tests.unit.bench.measured import MACHINE

PRINTED = """\
13233 titles, built in 0.40 s
set                    questions  median µs   p99 µs   max µs
questions_ja                 420        8.1     60.5    120.0
hostile                      260      300.0    900.0   1000.0
"""


def test_the_rows_are_read_and_the_headings_are_not() -> None:
    costs = questions.parse(PRINTED)
    assert [cost.questions for cost in costs] == ["questions_ja", "hostile"]
    assert (costs[0].count, costs[0].median_us, costs[0].p99_us) == (420, 8.1, 60.5)


def test_output_without_a_table_is_an_error() -> None:
    with pytest.raises(ValueError, match="no table"):
        questions.parse("13233 titles\n")


def test_hostile_questions_are_shown_and_promise_nothing() -> None:
    result = questions.summarise(questions.parse(PRINTED), MACHINE, "13233 titles")
    assert [row[0] for row in result.tables[0].rows] == ["questions_ja", "hostile"]
    assert [claim.measured for claim in result.claims] == [8.1, 60.5]
    assert result.kept
