"""`mangaassist import`: a catalogue from a file to every process, and answers made of it."""

from collections.abc import Iterable
from pathlib import Path

from adapters.jsonl_catalogue import Loaded, read_catalogue
from cli import catalogue_files, output, progress
from cli.answers_refresh import Refresher, Versions, precomputed_kinds, refresher
from cli.failures import Failure
from cli.priming import keep
from cli.target import Target, aim
from domain.catalogue import Catalogue, CatalogueRejected, RowError
from domain.errors import Transient

SHOWN_ROWS = 1000


def run(name: str, data_dir: Path | None, *, merge: bool, wait: bool) -> None:
    """Import a file; raises Failure where it is refused."""
    file = catalogue_files.find(name)
    target = aim(data_dir)
    loaded = _read(file)
    ours = refresher(target.settings)
    catalogue = _merged(ours, loaded.catalogue) if merge else loaded.catalogue
    is_new = _publish(ours, target, catalogue)
    output.line(
        f"{loaded.rows} rows: {len(loaded.catalogue)} titles, {len(loaded.errors)} skipped; "
        f"the catalogue has {len(catalogue)} titles" + ("" if is_new else ", as before")
    )
    before = ours.request(precomputed_kinds())
    if wait:
        _wait(ours, before)


def _read(file: Path) -> Loaded:
    try:
        with progress.shown(file.name) as advance:
            loaded = read_catalogue(file, advance)
    except CatalogueRejected as error:
        _show(file, error.errors)
        raise Failure(str(error)) from error
    _show(file, loaded.errors)
    return loaded


def _show(file: Path, errors: Iterable[RowError]) -> None:
    rows = list(errors)
    for row in rows[:SHOWN_ROWS]:
        output.warn(f"{file.name}: {row}")
    if len(rows) > SHOWN_ROWS:
        output.warn(f"{file.name}: and {len(rows) - SHOWN_ROWS} more bad rows")


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


def _wait(ours: Refresher, before: Versions) -> None:
    def tell(kind: str, version: int) -> None:
        output.line(f"{kind}: " + (f"version {version}" if version else "no answers"))

    try:
        ours.wait(before, tell)
    except Transient as error:
        output.warn(f"the catalogue is imported, but {error}")
