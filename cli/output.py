"""What commands print: tables for people, JSON for programs. Knows nothing of what is in them."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import IO

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


def number(count: int, noun: str) -> str:
    """So many of something whose plural ends in s."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def warn(text: str) -> None:
    """A line for people on stderr."""
    sys.stderr.write(text + "\n")


def _drawn(headings: Sequence[str], rows: Sequence[Sequence[str]], file: IO[str]) -> list[str]:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, header_style="bold", pad_edge=False)
    for heading in headings:
        drawn.add_column(heading, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    console = Console(file=file)
    with console.capture() as captured:
        console.print(drawn)
    return captured.get().splitlines()


def items(found: Sequence[Mapping[str, object]]) -> None:
    """The titles of an answer, numbered."""
    for number, item in enumerate(found, 1):
        authors = item.get("authors")
        by = f" — {', '.join(map(str, authors))}" if isinstance(authors, list) and authors else ""
        year = f" ({str(item['published_from'])[:4]})" if item.get("published_from") else ""
        japanese = item.get("title_ja")
        also = f" / {japanese}" if japanese and japanese != item.get("title") else ""
        line(f"{number:3}. {item.get('title')}{also}{by}{year}")
