"""Commands that run something until a signal, and `provision`, which real AWS needs before them."""

from typing import Annotated

import typer

from cli.data_dir import DEFAULT
from cli.options import CatalogueFile, StackDir

LATER = typer.Option(
    "--browser/--no-browser", help="Accepted for scripts: there is no page to open yet."
)


def add_to(app: typer.Typer) -> None:
    """Register them."""
    for command in (up, serve, relay, beat, worker, provision):
        app.command()(command)


def up(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = 8080,
    data_dir: StackDir = DEFAULT,
    catalogue: CatalogueFile = None,
    browser: Annotated[bool, LATER] = True,
) -> None:
    """Run everything on this machine until Ctrl-C."""
    from cli.up import run

    del browser  # there is no page yet
    run(port, data_dir, catalogue)


def serve() -> None:
    """Run one process of the request path."""
    from serving.main import main

    raise typer.Exit(main())


def relay() -> None:
    """Run one relay from the outbox to SQS."""
    from workers.relay import main

    raise typer.Exit(main())


def beat() -> None:
    """Run one sender of scheduled jobs; two may run."""
    from workers.beat import main

    raise typer.Exit(main())


def worker(groups: Annotated[list[str], typer.Argument(metavar="GROUP…")]) -> None:
    """Run the Celery workers of these groups of queues.toml."""
    from workers.worker import main

    raise typer.Exit(main(groups))


def provision(catalogue: CatalogueFile = None) -> None:
    """Create queues, tables, stream and log group; load a catalogue if one is named."""
    from cli.provisioning import run

    run(catalogue)
