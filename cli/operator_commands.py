"""Commands that look at a running deployment, or change what it knows."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from cli.data_dir import DEFAULT
from cli.options import BAD_ROWS, AsJson, StackDir, Target

NoWait = Annotated[
    bool, typer.Option("--wait/--no-wait", help="Wait until the answers are published.")
]


def add_to(app: typer.Typer) -> None:
    """Register them."""
    for command in (ask, token, doctor, endpoints, index):
        app.command()(command)
    app.command("import", epilog=BAD_ROWS)(import_)
    app.command(context_settings={"ignore_unknown_options": True})(bench)


def ask(
    question: str,
    *,
    user: Annotated[str | None, typer.Option(help="Ask as this user; default: nobody.")] = None,
    locale: Annotated[Literal["ja", "en"] | None, typer.Option(help="Default: detected.")] = None,
    session: Annotated[str | None, typer.Option(help="Default: a new one.")] = None,
    data_dir: Target = None,
    as_json: AsJson = False,
) -> None:
    """Ask a question and print the answer."""
    from cli.asking import run

    run(question, user, locale, session, data_dir, as_json=as_json)


def bench(
    arguments: Annotated[
        list[str] | None, typer.Argument(help="NAME…, --quick, --rounds N; none for all.")
    ] = None,
) -> None:
    """Run benchmarks, from a checkout of the sources."""
    from cli.benching import run

    raise typer.Exit(run(arguments or []))


def token(
    user: Annotated[str, typer.Option(help="The user's id.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="For example events:write; may be repeated.")
    ] = None,
    ttl: Annotated[int, typer.Option(min=1, metavar="SECONDS")] = 3600,
    data_dir: StackDir = DEFAULT,
) -> None:
    """Print a bearer token for an embedded stack."""
    from cli.data_dir import DataDir
    from cli.tokens import mint

    typer.echo(mint(DataDir(data_dir), user, " ".join(scope or []), ttl))


def doctor(data_dir: Target = None, as_json: AsJson = False) -> None:
    """Look whether everything is there and works."""
    from cli.doctor import run

    run(data_dir, as_json=as_json)


def endpoints(data_dir: Target = None, as_json: AsJson = False) -> None:
    """Measure the network path to every service."""
    from cli.endpoint_commands import run

    run(data_dir, as_json=as_json)


def index(data_dir: Target = None) -> None:
    """Put the imported catalogue into OpenSearch, where the settings name one."""
    from cli.indexing import run

    run(data_dir)


def import_(
    file: Annotated[Path, typer.Argument(help="JSONL, .gz or not.")],
    merge: Annotated[
        bool, typer.Option("--merge", help="Keep the titles that the file does not have.")
    ] = False,
    wait: NoWait = True,
    data_dir: Target = None,
) -> None:
    """Load a catalogue, and have all answers made of it."""
    from cli.importing import run

    run(str(file), data_dir, merge=merge, wait=wait)
