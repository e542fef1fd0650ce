"""Catalogue files that the command line is given, and the sample that the project brings."""

from pathlib import Path

import config
from cli import output
from cli.failures import Failure

SAMPLE = Path(config.__file__).parent / "sample_catalogue.jsonl"
SAMPLE_NAME = "sample"


def find(name: str | None) -> Path:
    """The file of this name, the sample for `sample` or none; raises Failure if it's not there."""
    path = SAMPLE if name in {None, SAMPLE_NAME} else Path(str(name)).expanduser().resolve()
    if not path.is_file():
        raise Failure(f"the catalogue {path} is not a file")
    return path


def require_good(path: Path) -> None:
    """Raise Failure for the first bad row: what is checked here is served by all processes."""
    from adapters.jsonl_catalogue import read_catalogue
    from domain.catalogue import CatalogueRejected

    try:
        loaded = read_catalogue(path)
    except CatalogueRejected as error:
        raise Failure(str(error)) from error
    if errors := loaded.errors:
        raise Failure(
            f"{path.name}: {errors[0]} ({output.number(loaded.bad, 'bad row')}; "
            "`mangaassist import` leaves such rows out, up to 5%)"
        )
