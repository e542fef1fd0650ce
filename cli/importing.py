"""`mangaassist import`: a catalogue from a file to every process, and answers made of it."""

import time
from pathlib import Path

from adapters.jsonl_catalogue import Loaded, read_catalogue
from cli import bad_rows, catalogue_files, output, progress, web_calls
from cli.answers_refresh import Before, Refresher, outcome, precomputed_kinds, refresher
from cli.failures import Failure
from cli.priming import keep
from cli.target import Target, aim
from config.settings import PREFIX
from domain.catalogue import Catalogue, CatalogueRejected
from domain.errors import Transient
from domain.ports import CatalogueStore

PAUSE_SECONDS = 0.05
TAKING_SECONDS = 30.0
"""How long a process may take to load and index a catalogue, once it has noticed it."""


def run(name: str, data_dir: Path | None, *, merge: bool, wait: bool) -> None:
    """Import a file; raises Failure where it is refused."""
    file = catalogue_files.find(name)
    target = aim(data_dir)
    loaded = _read(file)
    ours = refresher(target.settings)
    catalogue = _merged(ours, loaded.catalogue) if merge else loaded.catalogue
    # First: as soon as the catalogue is there, a schedule may have answers made of it.
    kinds = precomputed_kinds()
    before = ours.published(kinds)
    is_new = _publish(ours, target, catalogue)
    rows, titles = output.number(loaded.rows, "row"), output.number(len(catalogue), "title")
    output.line(
        f"{rows}: {output.number(len(loaded.catalogue), 'title')}, "
        f"{bad_rows.left_out(loaded.bad)}; the catalogue has {titles}"
        + ("" if is_new else ", as before")
    )
    ours.request(kinds)
    if wait:
        until_answered(ours, before, target)


def _read(file: Path) -> Loaded:
    try:
        with progress.shown(file.name) as advance:
            loaded = read_catalogue(file, advance)
    except CatalogueRejected as error:
        bad_rows.tell(file.name, error.errors, error.bad)
        raise Failure(str(error)) from error
    bad_rows.tell(file.name, loaded.errors, loaded.bad)
    return loaded


def _merged(ours: Refresher, fresh: Catalogue) -> Catalogue:
    if ours.ports.catalogue.version() is None:
        return fresh
    return Catalogue({**ours.ports.catalogue.load().titles, **fresh.titles}.values())


def _publish(ours: Refresher, target: Target, catalogue: Catalogue) -> bool:
    if target.stack is not None:
        from cli.modelling import describe  # NumPy takes a while

        keep(target.stack.directory.catalogue, catalogue)
        describe(target.stack.directory.model, catalogue)
    return ours.ports.catalogue.publish(catalogue)


def until_answered(ours: Refresher, before: Before, target: Target) -> None:
    """Wait until answers are published and the stack answers from the catalogue.

    Of a deployment that is said, not waited for: its processes cannot be asked from here.
    """
    poll_seconds = target.settings.catalogue_poll_seconds
    try:
        ours.wait(before, lambda *sets: output.line(outcome(*sets)))
        if target.stack is None:
            output.line(
                "every process takes the catalogue up within its "
                f"{PREFIX}CATALOGUE_POLL_SECONDS ({poll_seconds:g} s here), and then indexes it"
            )
        else:
            until_taken(ours.ports.catalogue, target.http, poll_seconds + TAKING_SECONDS)
    except Transient as error:
        output.warn(f"the catalogue is imported, but {error}")


def until_taken(store: CatalogueStore, http: str, limit_seconds: float) -> None:
    """Wait until the request path there answers from the newest catalogue; raises Transient where
    it does not in time, or cannot be asked."""
    deadline = time.monotonic() + limit_seconds
    while True:
        try:
            taken = web_calls.get(f"{http}/readyz").body.get("catalogue")
        except Failure as error:
            raise Transient(f"what is answered from is not known: {error}") from error
        if taken == store.version():
            return
        if time.monotonic() > deadline:
            raise Transient(f"{http} has not taken it within {limit_seconds:g} s: see its log")
        time.sleep(PAUSE_SECONDS)
