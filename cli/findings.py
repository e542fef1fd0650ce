"""What a look at a deployment finds: one line each, and what to do about it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from cli.failures import Failure
from domain.errors import MangaAssistError


class State(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    what: str
    state: State
    detail: str
    hint: str = ""


Look = Callable[[], Iterable[Finding]]


def ok(what: str, detail: str) -> Finding:
    """All is well."""
    return Finding(what, State.OK, detail)


def warn(what: str, detail: str, hint: str) -> Finding:
    """It works, but somebody should know."""
    return Finding(what, State.WARN, detail, hint)


def fail(what: str, detail: str, hint: str) -> Finding:
    """It does not work."""
    return Finding(what, State.FAIL, detail, hint)


def found(what: str, look: Look, hint: str) -> list[Finding]:
    """What a look gives; that it fails is a finding too."""
    try:
        return list(look())
    except (MangaAssistError, Failure) as error:
        return [fail(what, str(error), hint)]
    except Exception as error:
        # The edge of a look: what it stumbles over must not hide what the others find.
        return [fail(what, " ".join(f"{type(error).__name__}: {error}".split()), hint)]
