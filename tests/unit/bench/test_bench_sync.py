"""What the benchmark of the feature sync makes of its samples."""

from dataclasses import replace

import pytest

from bench.sync import AGAIN, FEAST, FIRST, ITEMS, OURS, Sample, plan, summarise
from tests.unit.bench.measured import MACHINE

CALLS = {"DynamoDB_20120810.UpdateItem": 1000, "BatchGetRecord": 20, ITEMS: 1000}
SAMPLE = Sample(OURS, FIRST, 1000, 0, 10.0, 1.0, CALLS, 90.0, 80.0)
SAMPLES = (
    SAMPLE,
    replace(SAMPLE, what=AGAIN, calls={"BatchGetRecord": 20}, seconds=1.0),
    replace(SAMPLE, who=FEAST, calls={"BatchWriteItem": 80, ITEMS: 2000}, seconds=2.0),
    replace(SAMPLE, who=FEAST, what=AGAIN, calls={"BatchWriteItem": 80, ITEMS: 2000}, seconds=2.0),
)


def test_items_are_no_requests() -> None:
    assert SAMPLE.calls_per_record == pytest.approx(0.51)
    assert SAMPLE.items_per_record == 0.5


def test_a_row_tells_what_a_record_costs() -> None:
    [table] = summarise(SAMPLES, MACHINE, []).tables
    assert [row[0] for row in table.rows] == [
        f"{OURS}, {FIRST}",
        f"{FEAST}, {FIRST}",
        f"{OURS}, {AGAIN}",
        f"{FEAST}, {AGAIN}",
    ]
    assert table.rows[0][1:] == ["1,000", "200", "500", "0.51", "0.5", "90"]


def test_memory_that_grows_with_the_users_breaks_a_promise() -> None:
    assert summarise(SAMPLES, MACHINE, []).kept
    grown = (replace(SAMPLE, max_rss_mib=200.0), *SAMPLES[1:])
    assert not summarise(grown, MACHINE, []).kept


def test_a_write_of_what_has_not_changed_breaks_a_promise() -> None:
    written = (SAMPLE, replace(SAMPLE, what=AGAIN, calls={ITEMS: 1}), *SAMPLES[2:])
    assert not summarise(written, MACHINE, []).kept


def test_without_feast_ours_is_told_alone() -> None:
    result = summarise(SAMPLES[:2], MACHINE, ["Feast could not be installed"])
    assert len(result.tables[0].rows) == 2
    assert result.kept


def test_a_quick_run_is_a_small_one() -> None:
    assert max(plan(None, quick=True).users) < min(plan(None, quick=False).users) + 1
