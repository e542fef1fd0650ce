"""The commands `mangaassist model …`."""

from pathlib import Path
from typing import Annotated

import typer

from cli.failures import Failure
from cli.options import BAD_ROWS, AsJson, Target

app = typer.Typer(help="The model behind the recommendations.", no_args_is_help=True)


@app.callback()
def root() -> None:
    """Keep `model` a group although it has one command."""


@app.command(epilog=BAD_ROWS)
def train(
    file: Annotated[Path, typer.Argument(help="CSV with ts, user and item, .gz or not.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Directory for the model; default: the embedded stack, which takes it."),
    ] = None,
    data_dir: Target = None,
    as_json: AsJson = False,
) -> None:
    """Train a model on what users did and on the catalogue."""
    try:
        from cli.modelling import run
    except ModuleNotFoundError as error:
        raise Failure(f"training needs the extra `embedded`: {error}") from error
    run(file, out, data_dir, as_json=as_json)
