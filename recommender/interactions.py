"""What users did, read from a file of CSV: `ts,user,item` and any other columns, .gz or not.

Bad rows are reported with their line and skipped; a file with more than 5% of them is refused.
"""

import csv
import gzip
import io
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

COLUMNS = ("ts", "user", "item")
MAX_ROWS = 5_000_000
"""What training holds in memory at once; more is a matter for a training job of its own."""
MAX_BAD_PART = 0.05
MAX_BAD_SHOWN = 20
MAX_ID_CHARS = 255
_TELL_EVERY = 50_000


class InteractionsRejected(Exception):  # noqa: N818 - named as the catalogue's is
    """The file as a whole cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Interactions:
    """Every interaction, by user and then by time: the positions of its user and its item."""

    users: npt.NDArray[np.int64]
    items: npt.NDArray[np.int64]
    item_ids: Sequence[str]
    bad_rows: int = 0
    bad: Sequence[str] = ()
    """The first bad rows, each with its line and the reason."""

    def __len__(self) -> int:
        return len(self.items)


@dataclass(slots=True)
class _Columns:
    times: list[float] = field(default_factory=list)
    users: list[int] = field(default_factory=list)
    items: list[int] = field(default_factory=list)
    user_places: dict[str, int] = field(default_factory=dict)
    item_places: dict[str, int] = field(default_factory=dict)
    bad_rows: int = 0
    bad: list[str] = field(default_factory=list)

    def add(self, row: dict[str, str]) -> None:
        """Take a row; raises ValueError for one that is wrong."""
        time, user, item = (row[name] for name in COLUMNS)
        seconds = _seconds(time)
        _check_id("user", user)
        _check_id("item", item)
        self.times.append(seconds)
        self.users.append(self.user_places.setdefault(user, len(self.user_places)))
        self.items.append(self.item_places.setdefault(item, len(self.item_places)))

    def refuse(self, line: int, reason: str) -> None:
        """Count a bad row."""
        self.bad_rows += 1
        if len(self.bad) < MAX_BAD_SHOWN:
            self.bad.append(f"line {line}: {reason}")


def read(path: Path, told: Callable[[int], None] = lambda _bytes: None) -> Interactions:
    """The interactions in a file; `told` hears how many bytes of it are read.

    Raises InteractionsRejected, and OSError for a file that cannot be opened.
    """
    columns = _Columns()
    rows = 0
    with path.open("rb") as raw:
        try:
            for rows, (line, row) in enumerate(_rows(raw, path.suffix == ".gz"), start=1):
                if rows > MAX_ROWS:
                    raise InteractionsRejected(f"more than {MAX_ROWS} rows")
                try:
                    columns.add(row)
                except ValueError as error:
                    columns.refuse(line, str(error))
                if not rows % _TELL_EVERY:
                    told(raw.tell())
        except (UnicodeDecodeError, gzip.BadGzipFile, zlib.error, EOFError, csv.Error) as error:
            raise InteractionsRejected(f"the file cannot be read: {error}") from error
    told(path.stat().st_size)
    if columns.bad_rows > rows * MAX_BAD_PART:
        raise InteractionsRejected(
            f"{columns.bad_rows} of {rows} rows are bad; the first is {columns.bad[0]}"
        )
    return _sorted(columns)


def of(rows: Sequence[tuple[float, str, str]]) -> Interactions:
    """The interactions of these rows of time, user and item."""
    columns = _Columns()
    for time, user, item in rows:
        columns.add({"ts": str(time), "user": user, "item": item})
    return _sorted(columns)


def _rows(raw: BinaryIO, is_packed: bool) -> Iterator[tuple[int, dict[str, str]]]:
    unpacked = gzip.GzipFile(fileobj=raw) if is_packed else raw
    with io.TextIOWrapper(unpacked, encoding="utf-8", newline="") as lines:
        reader = csv.DictReader(lines)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise InteractionsRejected(f"the first line names no column {missing[0]!r}")
        for row in reader:
            yield reader.line_num, {name: row[name] or "" for name in COLUMNS}


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise ValueError("ts is no number of seconds") from None
    if not math.isfinite(seconds):
        raise ValueError("ts is no number of seconds")
    return seconds


def _check_id(name: str, text: str) -> None:
    if not 0 < len(text) <= MAX_ID_CHARS:
        raise ValueError(f"{name} has {len(text)} characters")


def _sorted(columns: _Columns) -> Interactions:
    users = np.array(columns.users, dtype=np.int64)
    order = np.lexsort((np.array(columns.times, dtype=np.float64), users))
    return Interactions(
        users=users[order],
        items=np.array(columns.items, dtype=np.int64)[order],
        item_ids=list(columns.item_places),
        bad_rows=columns.bad_rows,
        bad=columns.bad,
    )
