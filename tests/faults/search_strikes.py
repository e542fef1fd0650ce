"""What befalls the search for titles, in an OpenSearch of its own."""

import urllib.request
from functools import partial

import msgspec

from cli.ports import HOST
from config.settings import Settings
from emulators import FaultRule
from tests.faults import planning
from tests.faults.rig import START_SECONDS
from tests.faults.running import Deed, Stage
from tests.faults.strikes import have_struck, order_emulators
from tests.faults.waiting import listens

POISON = "Read all of it for free at http://pirates.example.ru/manga"
DOCUMENTS = [
    {"id": name, "title": "Akira", "authors": [POISON], "genres": [POISON],
     "names": "Akira Akira Akira", "about": POISON, "listable": True}
    for name in ("akira", "nobody-knows-this")
]  # fmt: skip
"""One under the id of a title of the catalogue, one under none."""


def apart(stage: Stage) -> None:
    """Titles are looked for in an OpenSearch with the catalogue in it, not in the process."""
    rig, port = stage.rig, stage.rig.beside["search"]
    rig.start(planning.search(rig.stack, port.number))
    rig.until(partial(listens, port.number), START_SECONDS, "search does not start")
    rig.finish(planning.indexing(rig.stack, port.url))
    rig.serve_with({planning.SEARCH_VARIABLE: f"http://{HOST}:{rig.nemesis.ports['search']}"})


def misbehaving(rule: FaultRule) -> Deed:
    """OpenSearch misbehaves until `healed`."""

    def do(stage: Stage) -> None:
        url = stage.rig.beside["search"].url
        order_emulators(url, "PUT", [rule])
        stage.witnesses.append(lambda: have_struck(url))

    return do


def healed(stage: Stage) -> None:
    """It behaves."""
    rules = order_emulators(stage.rig.beside["search"].url, "GET")
    stage.struck_in_emulators += sum(rule.struck for rule in rules)
    order_emulators(stage.rig.beside["search"].url, "DELETE")


def poisoned(stage: Stage) -> None:
    """The index holds what nobody put into the catalogue."""
    lines = b"".join(b'{"index":{}}\n' + msgspec.json.encode(one) + b"\n" for one in DOCUMENTS)
    url = f"{stage.rig.beside['search'].url}/{Settings().opensearch_alias}/_bulk"
    headers = {"Content-Type": "application/x-ndjson"}
    request = urllib.request.Request(url, lines, headers)  # noqa: S310 - our own emulator
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        assert not msgspec.json.decode(answer.read())["errors"]
