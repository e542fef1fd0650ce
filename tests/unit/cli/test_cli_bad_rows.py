"""Bad rows are told alike whoever reads the file, and not without end."""

import pytest

from adapters.jsonl_lines import refusal
from cli import bad_rows


def test_each_is_a_line_and_the_many_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"line {at}: not JSON" for at in range(bad_rows.SHOWN_ROWS + 1)]
    bad_rows.tell("rows.jsonl", rows, len(rows) + 5)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "rows.jsonl: line 0: not JSON"
    assert lines[-1] == "rows.jsonl: and 6 more bad rows"
    assert len(lines) == bad_rows.SHOWN_ROWS + 1


def test_of_none_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    bad_rows.tell("rows.jsonl", [], 0)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("count", "said"), [(0, "0 bad rows left out"), (1, "1 bad row left out")])
def test_how_many_were_left_out_is_said_in_words(count: int, said: str) -> None:
    assert bad_rows.left_out(count) == said


@pytest.mark.parametrize(
    ("rows", "bad", "said"),
    [
        (100, 0, ""),
        (100, 5, ""),
        (100, 6, "6 of 100 rows are bad, more than 5%; the first is line 3: why"),
        (1, 1, "1 of 1 rows are bad, more than 5%; the first is line 3: why"),
        (0, 0, "the file has no rows"),
    ],
)
def test_a_file_may_have_a_twentieth_of_bad_rows(rows: int, bad: int, said: str) -> None:
    assert refusal(rows, bad, "line 3: why") == said
