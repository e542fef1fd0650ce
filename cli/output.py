"""What commands print: tables for people, JSON for programs. Knows nothing of what is in them."""

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

GAP = 2
"""Spaces between two columns."""
STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red", "fresh": "green", "stale": "yellow"}


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table."""
    for text in table_lines(headings, rows):
        line(text)


def table_lines(
    headings: Sequence[str], rows: Sequence[Sequence[str]], file: IO[str] | None = None
) -> list[str]:
    """The lines of a table: drawn for a terminal, plain columns for anything else."""
    file = file or sys.stdout
    if file.isatty():
        return _drawn(headings, rows, file)
    widths = [max(len(row[at]) for row in [headings, *rows]) for at in range(len(headings))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [headings, *rows]
    ]


def document(value: object) -> None:
    """One JSON document."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")


def line(text: str) -> None:
    """A line, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def number(count: int, noun: str, plural: str = "") -> str:
    """So many of something; its plural ends in s unless it is given."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def warn(text: str) -> None:
    """A line for people on stderr."""
    sys.stderr.write(text + "\n")


def _drawn(headings: Sequence[str], rows: Sequence[Sequence[str]], file: IO[str]) -> list[str]:
    """As a table where every word fits into its column, else one row below the other."""
    from rich.console import Console

    # Rich takes a terminal that it does not know for 80 columns wide, unless it is told both.
    size = shutil.get_terminal_size()
    console = Console(file=file, width=size.columns, height=size.lines, highlight=False)
    widths = _widths(list(zip(headings, *rows, strict=True)), size.columns)
    with console.capture() as captured:
        console.print(
            _as_records(headings, rows) if widths is None else _as_table(headings, rows, widths)
        )
    return [text.rstrip() for text in captured.get().splitlines()]


def _widths(columns: Sequence[Sequence[str]], total: int) -> list[int] | None:
    """How wide each column is; None where not every word fits.

    What the words leave goes to those that need least, so that short cells stay on one line.
    """
    from rich.cells import cell_len

    widths = [
        max(cell_len(word) for cell in one for word in [*cell.split(), ""]) for one in columns
    ]
    wanted = [max(map(cell_len, one)) for one in columns]
    room = total - sum(widths) - GAP * (len(columns) - 1)
    if room < 0:
        return None
    for at in sorted(range(len(columns)), key=lambda at: wanted[at] - widths[at]):
        more = min(wanted[at] - widths[at], room)
        widths[at] += more
        room -= more
    return widths


def _as_table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int]
) -> "Table":
    from rich.table import Table

    drawn = Table(box=None, header_style="bold", pad_edge=False, padding=(0, GAP, 0, 0))
    for heading, width in zip(headings, widths, strict=True):
        drawn.add_column(heading, overflow="fold", width=width)
    for row in rows:
        drawn.add_row(*map(_styled, row))
    return drawn


def _as_records(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> "Group":
    """A row's first cell on a line, the others named below it, without those that are empty."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    width = max(map(len, headings[1:]), default=0)
    parts: list[Padding | Text] = []
    for first, *others in rows:
        parts.append(Text(first, style="bold"))
        record = Table(box=None, show_header=False, pad_edge=False, padding=(0, GAP, 0, 0))
        record.add_column(min_width=width, style="dim")
        record.add_column(overflow="fold")
        for heading, cell in zip(headings[1:], others, strict=True):
            if cell:
                record.add_row(heading, _styled(cell))
        parts.append(Padding(record, (0, 0, 0, GAP)))
    return Group(*parts)


def _styled(cell: str) -> "Text":
    from rich.text import Text

    return Text(cell, style=STYLES.get(cell, ""))


def items(found: Sequence[Mapping[str, object]], locale: str) -> None:
    """The titles of an answer, numbered; the name in the language of the answer leads."""
    for number, item in enumerate(found, 1):
        authors = item.get("authors_ja") or item.get("authors")
        by = f" — {', '.join(map(str, authors))}" if isinstance(authors, list) and authors else ""
        year = f" ({str(item['published_from'])[:4]})" if item.get("published_from") else ""
        names = [item.get("title"), item.get("title_ja")]
        shown = dict.fromkeys(str(name) for name in names[:: -1 if locale == "ja" else 1] if name)
        line(f"{number:3}. {' / '.join(shown)}{by}{year}")
