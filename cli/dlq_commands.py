"""The commands `mangaassist dlq …`."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import AsJson, Target

app = typer.Typer(help="What failed for good: dead letters and parked jobs.", no_args_is_help=True)
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be.")]
OneQueue = Annotated[str | None, typer.Option("--queue", help="Only this queue.")]


@app.command("list")
def list_(
    queue: OneQueue = None,
    limit: Annotated[int, typer.Option(min=1, help="Of each queue.")] = 100,
    data_dir: Target = None,
    as_json: AsJson = False,
) -> None:
    """List dead letters and parked jobs, oldest first."""
    from cli.dead_letters import list_rows

    list_rows(queue, limit, data_dir, as_json=as_json)


@app.command()
def show(
    message_id: Annotated[str, typer.Argument(metavar="ID")],
    data_dir: Target = None,
    as_json: AsJson = False,
) -> None:
    """Open a dead letter or a parked job."""
    from cli.dead_letters import show as run

    run(message_id, data_dir, as_json=as_json)


@app.command()
def retry(
    *,
    message_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Only these.")
    ] = None,
    queue: OneQueue = None,
    ids: Annotated[list[str] | None, typer.Option("--id", help="The same; repeatable.")] = None,
    rate: Annotated[float, typer.Option(min=0.1, help="Messages a second.")] = 50.0,
    dry_run: DryRun = False,
    data_dir: Target = None,
    as_json: AsJson = False,
) -> None:
    """Send dead letters and parked jobs to their queues again."""
    from cli.dead_letters import retry as run

    run(
        queue,
        [*(message_ids or []), *(ids or [])],
        rate,
        data_dir,
        dry_run=dry_run,
        as_json=as_json,
    )


@app.command()
def park(
    *,
    message_id: Annotated[str, typer.Argument(metavar="ID")],
    why: Annotated[str, typer.Option("--why", help="For whoever finds it parked.")],
    dry_run: DryRun = False,
    data_dir: Target = None,
    as_json: AsJson = False,
) -> None:
    """Park a dead letter, so that the scheduled retry leaves it alone."""
    from cli.dlq_aside import park as run

    run(message_id, why, data_dir, dry_run=dry_run, as_json=as_json)


@app.command()
def export(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    queue: OneQueue = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
    redact: Annotated[
        bool, typer.Option("--redact", help="Leave out what customers wrote and who they are.")
    ] = False,
    data_dir: Target = None,
    as_json: AsJson = False,
) -> None:
    """Write dead letters and parked jobs to a JSONL file."""
    from cli.dlq_aside import export as run

    run(file, queue, data_dir, force=force, redact=redact, as_json=as_json)
