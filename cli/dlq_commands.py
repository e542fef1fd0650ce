"""The commands `mangaassist dlq …`."""

from typing import Annotated

import typer

from cli.options import AsJson, Target

app = typer.Typer(help="The messages that failed for good.", no_args_is_help=True)
OneQueue = Annotated[str | None, typer.Option("--queue", help="Only this queue.")]


@app.command("list")
def list_(
    queue: OneQueue = None,
    limit: Annotated[int, typer.Option(min=1, help="Of each queue.")] = 100,
    data_dir: Target = None,
    as_json: AsJson = False,
) -> None:
    """List dead letters, oldest first."""
    from cli.dead_letters import list_rows

    list_rows(queue, limit, data_dir, as_json=as_json)


@app.command()
def show(
    message_id: Annotated[str, typer.Argument(metavar="ID")],
    data_dir: Target = None,
    as_json: AsJson = False,
) -> None:
    """Open one dead letter."""
    from cli.dead_letters import show as run

    run(message_id, data_dir, as_json=as_json)


@app.command()
def retry(
    *,
    queue: OneQueue = None,
    ids: Annotated[list[str] | None, typer.Option("--id", help="Only this; repeatable.")] = None,
    rate: Annotated[float, typer.Option(min=0.1, help="Messages a second.")] = 50.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be.")] = False,
    data_dir: Target = None,
    as_json: AsJson = False,
) -> None:
    """Send dead letters to their queues again."""
    from cli.dead_letters import retry as run

    run(queue, ids or [], rate, data_dir, dry_run=dry_run, as_json=as_json)
