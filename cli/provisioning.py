"""`mangaassist provision`: what a new deployment needs before its first process."""

from adapters.jsonl_catalogue import read_catalogue
from adapters.provision import provision
from cli import catalogue_files, output
from cli.answers_refresh import precomputed_kinds, refresher
from cli.target import aim
from config import queues


def run(catalogue: str | None) -> None:
    """Create what is missing; publish a catalogue and ask for its answers, if one is named."""
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
    output.line(f"the catalogue of {len(found)} titles is published")
