"""The commands `mangaassist features …`."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import BAD_ROWS, AsJson, Target

app = typer.Typer(help="What is known of users.", no_args_is_help=True)
Rate = Annotated[
    float | None,
    typer.Option(min=0.1, help="Requests a second to the feature store; default: its share."),
]
Restart = Annotated[
    bool, typer.Option("--restart", help="Begin again, not where the last call stopped.")
]


@app.command(epilog=f"{BAD_ROWS} It is 1 where the store does not take a good row.")
def load(
    file: Annotated[Path, typer.Argument(help="JSONL, .gz or not.")],
    *,
    rate: Rate = None,
    restart: Restart = False,
    sync: Annotated[
        bool, typer.Option("--sync/--no-sync", help="Have the workers sync these users.")
    ] = True,
    data_dir: Target = None,
    as_json: AsJson = False,
) -> None:
    """Write records into the feature store; goes on where it was interrupted."""
    from cli.features_loading import run

    run(file, data_dir, rate=rate, restart=restart, sync=sync, as_json=as_json)


@app.command()
def sync(
    *,
    user: Annotated[list[str] | None, typer.Option(help="This user; repeatable.")] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Everybody.")] = False,
    rate: Rate = None,
    restart: Restart = False,
    data_dir: Target = None,
    as_json: AsJson = False,
) -> None:
    """Bring users' features up to date; with --all goes on where it was interrupted."""
    from cli.features_syncing import sync_all, sync_users

    if everybody == bool(user):
        raise typer.BadParameter("give either --user or --all")
    if user:
        sync_users(user, data_dir, rate=rate, as_json=as_json)
    else:
        sync_all(data_dir, rate=rate, restart=restart, as_json=as_json)


@app.command()
def check(
    users: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="How many; default: as declared.")
    ] = None,
    rate: Rate = None,
    data_dir: Target = None,
    as_json: AsJson = False,
) -> None:
    """Compare some users with the feature store, and repair what differs."""
    from cli.features_syncing import check as run

    run(users, data_dir, rate=rate, as_json=as_json)


@app.command()
def delete(
    users: Annotated[list[str], typer.Argument(metavar="USER…")],
    *,
    group: Annotated[
        list[str] | None, typer.Option(help="Only this group; repeatable; default: all.")
    ] = None,
    for_good: Annotated[
        bool, typer.Option("--for-good", help="Leave no trace in the store (HardDelete).")
    ] = False,
    data_dir: Target = None,
) -> None:
    """Delete users' records in the feature store, and have the workers erase what is merged."""
    from cli.features_deleting import run

    run(users, group or [], data_dir, for_good=for_good)
