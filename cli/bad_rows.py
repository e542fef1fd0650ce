"""What every command says of the rows of a file that cannot be taken, and when it takes none.

Bad rows are told on stderr, each with its line and why, and left out. A file with too many of them
is refused before anything is changed.
"""

from collections.abc import Sequence

from cli import output

SHOWN_ROWS = 1000


def tell(file: str, rows: Sequence[object], count: int) -> None:
    """Tell of bad rows, of which there are so many in all; the first of them will do."""
    shown = rows[:SHOWN_ROWS]
    for row in shown:
        output.warn(f"{file}: {row}")
    if count > len(shown):
        output.warn(f"{file}: and {output.number(count - len(shown), 'more bad row')}")


def left_out(count: int) -> str:
    """How many were left out, for the line at the end."""
    return f"{output.number(count, 'bad row')} left out"
