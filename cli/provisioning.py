"""`mangaassist provision`: what a new deployment needs before its first process.

`python -m cli.provisioning` is run by `mangaassist up` before everything that works on AWS, and
again whenever the emulated AWS has lost its memory. It imports no more than that takes.
"""

import sys

from adapters.aws_clients import AwsClients
from adapters.provision import has_table, provision
from adapters.redis_bookmarks import RedisBookmarks
from adapters.redis_connection import RedisConnection
from config import queues
from config import settings as settings_module
from config.errors import ConfigError
from domain.errors import MangaAssistError
from tasks.sweeping import forget


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
        settings = settings_module.read()
        aws = AwsClients()
        if not has_table(aws, settings.users_table):
            # Redis has outlived it, and knows of a sweep that filled the one before.
            forget(RedisBookmarks(RedisConnection(settings.redis_url)))
        provision(settings, queues.declared(), aws)
    except (ConfigError, MangaAssistError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
