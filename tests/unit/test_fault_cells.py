"""The table of cells, and what docs show of it."""

from typing import Any

from config.failpoints import Failpoint
from tests.faults import results
from tests.faults.cells import cells
from tests.faults.stock import STRIKES


def runs(*without: str) -> list[dict[str, Any]]:
    counted = ("acked", "lost", "doubled", "disordered", "repeated", "parked", "crashed", "stuck")
    run = dict.fromkeys(counted, 1000) | {"recovery_seconds": 1.0}
    return [{name: run[name] for name in run if name not in without}] * 3


def test_no_two_cells_have_a_name_and_there_are_as_many_as_promised() -> None:
    names = [cell.name for cell in cells()]
    assert len(set(names)) == len(names) >= 30


def test_every_failpoint_has_a_cell() -> None:
    named = {cell.name.partition(" ")[2] for cell in cells()}
    assert set(Failpoint) <= named


def test_what_is_forgiven_has_a_reason() -> None:
    assert all(cell.why for cell in cells() if cell.forgives)


def test_docs_show_what_is_kept() -> None:
    assert results.TABLE.read_text() == results.table(results.kept())


def test_nothing_is_kept_of_a_cell_that_is_gone() -> None:
    assert results.kept().keys() <= {cell.name for cell in cells()}


def test_stock_is_struck_by_cells_that_strike_ours() -> None:
    assert STRIKES.keys() <= {cell.name for cell in cells()}


def test_every_declared_cell_has_a_result() -> None:
    assert results.without_result(results.kept()) == set()


def test_what_a_run_was_not_asked_for_is_no_zero() -> None:
    name = cells()[0].name
    old, new = (results.table({name: found}) for found in (runs("stuck"), runs()))
    assert f"| {name} |" in old
    assert "| 3,000 | 3,000 | – | 1.0 / 1.0 |" in old
    assert "| 3,000 | 3,000 | 3,000 | 1.0 / 1.0 |" in new


def test_the_table_says_how_many_cells_have_no_result() -> None:
    names = [cell.name for cell in cells()]
    all_but_two = results.table({name: runs() for name in names[2:]})
    assert f"2 of {len(names)} declared cells have no result yet" in all_but_two
    assert "no result yet" not in results.table({name: runs() for name in names})
