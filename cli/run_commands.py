"""Commands that run something until a signal, and `provision`, which real AWS needs before them."""

from typing import Annotated

import typer

from cli.data_dir import DEFAULT
from cli.options import CatalogueFile, StackDir

BROWSER = typer.Option(
    "--browser/--no-browser", help="Open the chat page once it is ready; in a terminal only."
)


def add_to(app: typer.Typer) -> None:
    """Register them."""
    for command in (up, serve, relay, beat, worker, provision):
        app.command()(command)


def up(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = 8080,
    data_dir: StackDir = DEFAULT,
    catalogue: CatalogueFile = None,
    browser: Annotated[bool, BROWSER] = True,
) -> None:
    """Run everything on this machine until Ctrl-C."""
    from cli.up import run

    run(port, data_dir, catalogue, browser=browser)


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
