"""Fills a stack whose AWS resources are there: Redis functions, catalogue, model, first answers.

`python -m cli.priming SNAPSHOT MODEL [FILE]` is run by `mangaassist up` in a process of its own,
since what it imports is slow, and again whenever the emulated AWS has lost its memory. SNAPSHOT
keeps the catalogue that was published last; FILE replaces it. MODEL is the recommender's file.
"""

import sys
import time
from pathlib import Path

from adapters.connection import redis_of
from adapters.jsonl_catalogue import dump_snapshot, load_snapshot, read_catalogue
from cli.answers_refresh import outcome, precomputed_kinds, refresher
from cli.modelling import describe
from cli.output import number
from config import settings as settings_module
from config.errors import ConfigError
from config.settings import Settings
from domain.catalogue import Catalogue
from domain.errors import MangaAssistError


def prime(settings: Settings, catalogue: Catalogue, snapshot: Path, model: Path) -> None:
    """Prepare everything, and wait for the first answers of every kind."""
    redis_of(settings).load_functions()
    ours = refresher(settings)
    ours.ports.catalogue.publish(catalogue)
    _say(f"the catalogue of {number(len(catalogue), 'title')} is published")
    kinds = precomputed_kinds()
    before = ours.published(kinds)
    ours.request(kinds)
    if not model.exists() or model.stat().st_mtime < snapshot.stat().st_mtime:
        describe(model, catalogue)  # while the workers make the answers
        _say("the recommender has a model of the catalogue")
    ours.wait(before, lambda *sets: _say(outcome(*sets)))


def keep(snapshot: Path, catalogue: Catalogue) -> None:
    """Remember the catalogue for when the emulated AWS has forgotten it."""
    fresh = snapshot.with_suffix(".new")
    fresh.write_bytes(dump_snapshot(catalogue))
    fresh.replace(snapshot)


def _say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """The entry point of the process."""
    snapshot, model, *file = map(Path, arguments)
    try:
        if file:
            catalogue = read_catalogue(file[0]).catalogue
            keep(snapshot, catalogue)
        else:
            catalogue = load_snapshot(snapshot.read_bytes())
        prime(settings_module.read(), catalogue, snapshot, model)
    except (ConfigError, MangaAssistError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
