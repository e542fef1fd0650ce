"""What the benchmark of recommendations makes of its samples."""

import pytest

from bench import recommended
from bench.recommendations import SORTS, VARIANTS, Sample, summarise
from tests.unit.bench.measured import MACHINE


@pytest.fixture(autouse=True)
def no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recommended, "quality", lambda: None)


def samples(hot: float = 0.002, slowest: float = 0.4) -> list[Sample]:
    chain = [Sample(variant, 0.6) for variant in VARIANTS for _ in range(20)]
    ours = {"hot": hot, "warm": 0.2, "cold": slowest}
    return chain + [Sample(sort, ours[sort], "model") for sort in SORTS for _ in range(20)]


def test_each_way_has_a_row_with_where_its_answers_came_from() -> None:
    (table,) = summarise([*samples(), Sample("slow model", 0.3, "fallback")], 0, MACHINE).tables
    assert [row[0] for row in table.rows] == [*VARIANTS.values(), *SORTS.values(), "slow model"]
    assert table.rows[-1][-1] == "fallback 100%"


@pytest.mark.parametrize(
    ("found", "reads", "kept"),
    [
        (samples(), 0, [True, True, True]),
        (samples(hot=0.02), 0, [False, True, True]),
        (samples(), 1, [True, False, True]),
        (samples(slowest=0.56), 0, [True, True, False]),
    ],
    ids=["all kept", "hot too slow", "the feature store was read", "over the total"],
)
def test_what_is_promised_is_judged(found: list[Sample], reads: int, kept: list[bool]) -> None:
    assert [claim.holds for claim in summarise(found, reads, MACHINE).claims] == kept
