"""The options, and the words of help, that several commands have. Imports nothing slow."""

from pathlib import Path
from typing import Annotated

import typer

StackDir = Annotated[
    Path, typer.Option("--data-dir", metavar="DIR", help="Where the stack keeps its files.")
]
Target = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="The embedded stack that runs there. Without it: the settings of the environment, or "
        "the stack in .mangaassist where there is one and no setting.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
CatalogueFile = Annotated[
    str | None,
    typer.Option("--catalogue", metavar="FILE", help="JSONL, .gz or not; `sample` is the bundled."),
]
BAD_ROWS = (
    "Bad rows are reported with line and reason and left out. A file with more than 5% of them is "
    "refused: nothing is changed, and the exit code is 2."
)
"""The end of the help of a command that reads a file of rows."""
