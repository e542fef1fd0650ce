"""The table of cells, and what docs show of it."""

from config.failpoints import Failpoint
from tests.faults import results
from tests.faults.cells import cells
from tests.faults.stock import STRIKES


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
