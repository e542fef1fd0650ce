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
        ]
    )
    assert capsys.readouterr().out.splitlines() == [
        "  1. One Piece / ワンピース — Eiichiro Oda (1997)",
        "  2. B",
    ]


def test_a_failure_is_one_line() -> None:
    assert str(Failure("first\n  second")) == "first second"


def test_the_manner_of_an_end_is_said() -> None:
    assert manner(3) == "exit code 3"
    assert manner(-signal.SIGKILL) == "SIGKILL"
