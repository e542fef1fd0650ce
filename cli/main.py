"""The command line `mangaassist`: what can be asked for, and how errors leave.

A command imports its work when it is called, so that help and version are quick.
"""

import os
import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException

from cli import (
    answers_commands,
    dlq_commands,
    features_commands,
    model_commands,
    operator_commands,
    run_commands,
)
from cli.failures import USAGE, Failure

INTERRUPTED = 130
WHAT = "The assistant of a manga store: answers computed before anybody asks."

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=WHAT)
run_commands.add_to(app)
operator_commands.add_to(app)
app.add_typer(answers_commands.app, name="answers")
app.add_typer(dlq_commands.app, name="dlq")
app.add_typer(features_commands.app, name="features")
app.add_typer(model_commands.app, name="model")


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Print the version, or the help where no command is named."""
    if version:
        from importlib.metadata import version as version_of

        sys.stdout.write(f"mangaassist {version_of('mangaassist')}\n")
        raise typer.Exit
    if context.invoked_subcommand is None:
        sys.stdout.write(context.get_help() + "\n")
        raise typer.Exit


def main() -> None:
    """The console script."""
    sys.exit(_exit_code())


def _exit_code() -> int:
    try:
        return int(app(standalone_mode=False) or 0)
    except Failure as failure:
        return _fail(str(failure), failure.code)
    except TyperException as error:
        # A group of commands without one has printed its help, and has no more to say.
        return _fail(error.format_message(), USAGE) if error.format_message() else USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has had enough; the flush at exit must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INTERRUPTED
    except Exception as error:
        if not _is_expected(error):
            raise
        return _fail(str(error), USAGE)


def _is_expected(error: Exception) -> bool:
    # Late, because most commands that end well need neither.
    from config.errors import ConfigError
    from domain.errors import MangaAssistError

    return isinstance(error, (ConfigError, MangaAssistError))


def _fail(line: str, code: int) -> int:
    sys.stderr.write(f"mangaassist: {' '.join(line.split())}\n")
    return code


if __name__ == "__main__":
    main()
