"""`mangaassist provision`: what a new deployment needs before its first process.

`python -m cli.provisioning` is run by `mangaassist up` before everything that works on AWS, and
again whenever the emulated AWS has lost its memory. It imports no more than that takes.
"""

import sys

from adapters.provision import provision
from config import queues
from config import settings as settings_module
from config.errors import ConfigError
from domain.errors import MangaAssistError


def run(catalogue: str | None) -> None:
    """Create what is missing; publish a catalogue and ask for its answers, if one is named."""
    from adapters.jsonl_catalogue import read_catalogue
    from cli import catalogue_files, output
    from cli.answers_refresh import precomputed_kinds, refresher
    from cli.target import aim

    file = catalogue_files.find(catalogue) if catalogue is not None else None
    settings = aim(None).settings
    provision(settings, queues.declared())
    output.line("queues, tables, stream, log group and feature groups are there")
    if file is None:
        return
    found = read_catalogue(file).catalogue
    ours = refresher(settings)
    ours.ports.catalogue.publish(found)
    ours.request(precomputed_kinds())
    output.line(f"the catalogue of {output.number(len(found), 'title')} is published")


def main() -> int:
    """The entry point of the process."""
    try:
        provision(settings_module.read(), queues.declared())
    except (ConfigError, MangaAssistError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
