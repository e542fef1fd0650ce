"""Reading a file of interactions for training."""

import gzip
from pathlib import Path

import pytest

from recommender.interactions import InteractionsRejected, read

GOOD = "ts,user,item,event\n3,u,b,view\n1,u,a,view\n2,v,a,view\n"


def test_rows_are_sorted_by_user_and_time(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text(GOOD)
    found = read(path)
    assert [found.item_ids[item] for item in found.items] == ["a", "b", "a"]
    assert found.users.tolist() == [0, 0, 1]


def test_a_packed_file_reads_alike_and_its_progress_is_told(tmp_path: Path) -> None:
    path = tmp_path / "events.csv.gz"
    path.write_bytes(gzip.compress(GOOD.encode()))
    told: list[int] = []
    assert len(read(path, told.append)) == 3
    assert told[-1] == path.stat().st_size


def test_bad_rows_are_skipped_and_named_by_their_line(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    rows = [f"{second},u,item-{second}" for second in range(100)]
    path.write_text("\n".join(["ts,user,item", *rows, "soon,u,a", "nan,u,a", ",,"]))
    found = read(path)
    assert (len(found), found.bad_rows) == (100, 3)
    assert found.bad[0].startswith("line 102: ts")


def test_a_file_that_is_mostly_wrong_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("ts,user,item\nx,u,a\n1,u,a\n")
    with pytest.raises(InteractionsRejected, match="1 of 2 rows"):
        read(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"time,user,item\n1,u,a\n"),
        ("a.csv.gz", b"ts,user,item\n1,u,a\n"),
        ("a.csv", b"ts,user,item\n1,u,\xff\n"),
        ("a.csv.gz", gzip.compress(GOOD.encode())[:-6]),
    ],
    ids=["a column is missing", "not packed", "not UTF-8", "cut off"],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InteractionsRejected):
        read(path)
