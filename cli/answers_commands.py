"""The commands `mangaassist answers …`."""

from typing import Annotated

import typer

from cli.operator_commands import NoWait
from cli.options import AsJson, Target

HOLD_MINUTES = 60.0

app = typer.Typer(help="The answers that are published.", no_args_is_help=True)
Kind = Annotated[str, typer.Argument(metavar="KIND", help="A kind of answer, or all.")]


@app.command("list")
def list_(data_dir: Target = None, as_json: AsJson = False) -> None:
    """List the published sets; with --json also their keys."""
    from cli.answers import list_sets

    list_sets(data_dir, as_json=as_json)


@app.command()
def show(
    key: Annotated[str, typer.Argument(help="For example trending:manga:top10:en.")],
    data_dir: Target = None,
    as_json: AsJson = False,
) -> None:
    """Show one answer."""
    from cli.answers import show as run

    run(key, data_dir, as_json=as_json)


@app.command()
def refresh(kind: Kind, wait: NoWait = True, data_dir: Target = None) -> None:
    """Have a kind made anew now; this also ends the hold of a rollback."""
    from cli.answers import refresh as run

    run(kind, data_dir, wait=wait)


@app.command()
def rollback(
    kind: Kind,
    hold_minutes: Annotated[
        float, typer.Option(min=0.1, help="How long schedules may not publish.")
    ] = HOLD_MINUTES,
    data_dir: Target = None,
) -> None:
    """Serve the version before."""
    from cli.answers import roll_back

    roll_back(kind, data_dir, hold_minutes * 60)
