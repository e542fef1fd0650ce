import io
import signal

import pytest

from cli import output
from cli.children import manner
from cli.failures import Failure


def test_a_table_without_a_terminal_is_plain_columns() -> None:
    rows = [["redis", "1"], ["worker-streams", "22"]]
    assert output.table_lines(["name", "pid"], rows, io.StringIO()) == [
        "name            pid",
        "redis           1",
        "worker-streams  22",
    ]


def test_titles_are_numbered_with_what_is_known_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    output.items(
        [
            {
                "title": "One Piece",
                "title_ja": "ワンピース",
                "authors": ["Eiichiro Oda"],
                "published_from": "1997-07-22",
            },
            {"title": "B", "title_ja": None, "authors": None, "published_from": None},
        ],
        "en",
    )
    assert capsys.readouterr().out.splitlines() == [
        "  1. One Piece / ワンピース — Eiichiro Oda (1997)",
        "  2. B",
    ]


def test_in_japanese_the_japanese_name_leads(capsys: pytest.CaptureFixture[str]) -> None:
    names = {"title": "One Piece", "title_ja": "ワンピース"}
    authors = {"authors": ["Eiichiro Oda"], "authors_ja": ["尾田栄一郎"]}
    output.items([{**names, **authors}, {"title": "B", "title_ja": "B"}], "ja")
    assert capsys.readouterr().out.splitlines() == [
        "  1. ワンピース / One Piece — 尾田栄一郎",
        "  2. B",
    ]


class Terminal(io.StringIO):
    """A terminal that remembers what is written to it."""

    def isatty(self) -> bool:
        return True


HEADINGS = ["what", "state", "detail", "hint"]
ROWS = [
    ["queue sessions", "ok", "0 waiting, 0 under way, the oldest 0 s old, 4 consumers", ""],
    ["endpoint sqs", "warn", "127.0.0.1:41233; call 12.3 ms", "see docs/runbooks/endpoints.md"],
]
WORDS = {word for row in ROWS for cell in row for word in cell.split()}


@pytest.mark.parametrize("columns", [200, 100, 80, 70, 61, 60, 40])
def test_no_terminal_is_too_narrow_for_whole_words(
    monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    lines = output.table_lines(HEADINGS, ROWS, Terminal())
    assert max(map(len, lines)) <= columns
    found = {word for text in lines for word in text.split()}
    assert found >= WORDS
    # a table has a line of headings, records name each cell
    assert (lines[0].split() == HEADINGS) is (columns > 60)
    assert columns < 200 or len(lines) == 3


def test_a_failure_is_one_line() -> None:
    assert str(Failure("first\n  second")) == "first second"


def test_the_manner_of_an_end_is_said() -> None:
    assert manner(3) == "exit code 3"
    assert manner(-signal.SIGKILL) == "SIGKILL"
